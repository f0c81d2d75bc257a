//! How the client's modules are joined into scripts, which the build does.

#[path = "../build/join.rs"]
mod join;
#[path = "../build/open.rs"]
mod open;

/// What comes of a module that imports nothing.
fn joined(module: &str) -> Result<String, String> {
    join::join("home/a.js", &|_| Ok(module.to_owned())).map(|(script, _)| script)
}

#[test]
fn templates_span_lines_and_lose_only_their_indentation() -> Result<(), String> {
    let module = "/** Says. */\nconst a = html`<p\n    class=\"b\">\n  // no comment\n  ${b.map((c) => html`<i>\n    \
                  // one\n    ${c} ${d({ e: '`' })}\n  </i>`)}\n  ${\n    // said why\n    f}\n</p>`;\n// Done.\ng();\n";
    let script = "const a = html`<p\nclass=\"b\">\n// no comment\n${b.map((c) => html`<i>\n\
                  // one\n${c} ${d({ e: '`' })}\n</i>`)}\n${\nf}\n</p>`;\ng();\n";
    assert_eq!(joined(module)?, script);
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
        assert_eq!(joined(&format!("{line}\n"))?, format!("{line}\n"));
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
        let error = joined(module).err();
        assert_eq!(error.as_deref(), Some(format!("home/a.js: {why}").as_str()), "{module}");
    }
}
