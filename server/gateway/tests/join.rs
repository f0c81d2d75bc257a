//! How the client's modules are joined when the gateway is built.

#[path = "../build/join.rs"]
mod join;
#[path = "../build/open.rs"]
mod open;

use std::collections::BTreeMap;

/// The script for `app/main.js`, or why there is none.
fn joined(modules: &[(&str, &str)]) -> Result<String, String> {
    let modules: BTreeMap<&str, &str> = modules.iter().copied().collect();
    let read = |path: &str| {
        modules.get(path).map(|text| text.to_string()).ok_or(format!("{path} is not there"))
    };
    join::join("app/main.js", &read).map(|(script, _)| script)
}

fn check(modules: &[(&str, &str)], expected: &str) {
    assert_eq!(joined(modules).as_deref(), Ok(expected));
}

fn check_refused(main: &str, because: &str) {
    let other = ("app/other.js", "export const a = 1;");
    let error = joined(&[("app/main.js", main), other]).expect_err(main);
    assert!(error.contains(because), "{main}: {error}");
}

#[test]
fn a_module_stands_once_and_before_those_that_import_it() {
    let modules = [
        ("app/main.js", "import * as a from './a.js';\nimport { b as c } from '../b.js';\na.f(c);"),
        ("app/a.js", "import { b } from '../b.js';\nexport function f() {\n  return b;\n}"),
        ("b.js", "export const b = 1;\nexport class B {}\nexport async function g() {}"),
    ];
    let expected = "const $b = (() => {\nconst b = 1;\nclass B {}\nasync function g() {}\n\
        return { b, B, g };\n})();\n\
        const $app_a = (() => {\nconst { b } = $b;\nfunction f() {\nreturn b;\n}\n\
        return { f };\n})();\n\
        const a = $app_a;\nconst { b: c } = $b;\na.f(c);\n";
    check(&modules, expected);
}

#[test]
fn imports_of_several_lines_and_exports_from_elsewhere_are_taken_in() {
    let modules = [
        ("app/main.js", "import {\n  a,\n  b,\n} from './all.js';\na(b);"),
        ("app/all.js", "export { a, c as b } from './other.js';"),
        ("app/other.js", "export const a = 1;\nexport const c = 2;"),
    ];
    let expected = "const $app_other = (() => {\nconst a = 1;\nconst c = 2;\n\
        return { a, c };\n})();\n\
        const $app_all = (() => {\nreturn { a: $app_other.a, b: $app_other.c };\n})();\n\
        const { a, b } = $app_all;\na(b);\n";
    check(&modules, expected);
}

#[test]
fn other_peoples_modules_stay_files_and_are_imported_once() {
    let modules = [
        (
            "app/main.js",
            "import { a } from './deep/a.js';\nimport { h as b } from '../v/x.mjs';\na(b);",
        ),
        ("app/deep/a.js", "import { h } from '../../v/x.mjs';\nexport const a = h;"),
        ("v/x.mjs", "let $a=1;export{$a as h};export default $a"),
    ];
    let expected = "import * as $v_x from './../v/x.mjs';\n\
        const $app_deep_a = (() => {\nconst { h } = $v_x;\nconst a = h;\nreturn { a };\n})();\n\
        const { a } = $app_deep_a;\nconst { h: b } = $v_x;\na(b);\n";
    check(&modules, expected);
}

#[test]
fn comments_and_indentation_are_left_out_and_nothing_else() {
    let main = "/** One. */\n\n/**\n * import { x } from './x.js';\n */\n  /* two */ f('// no', 1); \
        // three\n  // four\n/* five\n */ g(`${1} /* no */`);\n";
    check(&[("app/main.js", main)], "f('// no', 1); // three\ng(`${1} /* no */`);\n");
}

#[test]
fn what_the_joiner_would_have_to_guess_at_is_refused() {
    check_refused("import './other.js';", "imports are not written so");
    check_refused("import a from './other.js';", "imports are not written so");
    check_refused("import { a } from 'other';", "imports are not written so");
    check_refused("import { a } from \"./other.js\";", "imports are not written so");
    check_refused("import { a } from './other.js'", "an import does not end");
    check_refused("import { a } from './main.js';", "imports itself");
    check_refused("import { b } from './missing.js';", "not there");
    check_refused("export let a = 1;", "exports are not written so");
    check_refused("export default 1;", "exports are not written so");
    check_refused("f(`\n`);", "code is not written so");
    check_refused("f('\\\n');", "code is not written so");
    check_refused("f(); /* a\n */", "code is not written so");
    check_refused("const $a = 1;", "code is not written so");
    check_refused("/* a", "a comment does not end");
}

#[test]
fn addresses_are_relative_to_the_script() {
    let moved = [
        ("app/main.js", "import { a } from '../b/a.js';"),
        ("b/a.js", "export const a = import.meta.url;"),
    ];
    assert!(joined(&moved).expect_err("moved").contains("import.meta"));
    let beside = [
        ("app/main.js", "import { a } from './a.js';"),
        ("app/a.js", "export const a = import.meta.url;"),
    ];
    assert!(joined(&beside).is_ok());
}

/// What comes of a module that imports nothing.
fn alone(module: &str) -> Result<String, String> {
    joined(&[("app/main.js", module)])
}

#[test]
fn templates_span_lines_and_lose_only_their_indentation() -> Result<(), String> {
    let module = "/** Says. */\nconst a = html`<p\n    class=\"b\">\n  // no comment\n  ${b.map((c) => html`<i>\n    \
                  // one\n    ${c} ${d({ e: '`' })}\n  </i>`)}\n  ${\n    // said why\n    f}\n</p>`;\n// Done.\ng();\n";
    let script = "const a = html`<p\nclass=\"b\">\n// no comment\n${b.map((c) => html`<i>\n\
                  // one\n${c} ${d({ e: '`' })}\n</i>`)}\n${\nf}\n</p>`;\ng();\n";
    assert_eq!(alone(module)?, script);
    Ok(())
}

#[test]
fn code_is_told_from_literals() -> Result<(), String> {
    for line in [
        "const a = /[`/'\"]/.test(b) ? '`' : \"`\";",
        "const a = b / c / d, e = `${f}\\``; // it's `odd",
        "const a = `x${{ b: `y${{ c: 1 }.c}` }.b}z`;",
        "const a = (/** it's */ b);",
    ] {
        assert_eq!(alone(&format!("{line}\n"))?, format!("{line}\n"));
    }
    Ok(())
}

#[test]
fn what_might_be_joined_wrongly_is_refused() {
    for (module, why) in [
        ("const a = `b\nc`;\n", "code is not written so: const a = `b"),
        (
            "const a = html`<p>${b(`c\n`)}</p>`;\n",
            "code is not written so: const a = html`<p>${b(`c",
        ),
        ("const a = html`<p>\n", "a template does not end"),
        ("/* a\n", "a comment does not end"),
        ("const a = 'b\n';\n", "code is not written so: const a = 'b"),
        ("const $a = 1;\n", "code is not written so: const $a = 1;"),
    ] {
        let error = alone(module).err();
        assert_eq!(error.as_deref(), Some(format!("app/main.js: {why}").as_str()), "{module}");
    }
}
