//! Joins a module and all that it imports into one script, in the order in which they run.
//!
//! Each imported module becomes a function, called once, that returns what it exports: no name of one
//! is seen by another. The client is written in plain modules, and what it has no use for is refused
//! rather than guessed at:
//!
//! - imports and exports start a line; imports are of names or of a whole module, by a relative path;
//! - what is exported never changes: there is no `export let` and no `export default`;
//! - modules do not import each other, and no name starts with `$`;
//! - `import.meta` is asked for only in the directory of the script itself;
//! - nothing but a comment and a template of the tag `html` spans lines: no other literal.
//!
//! A module whose name ends in `.mjs` is other people's: it stays a file of its own, as it was
//! published, and the script imports it.
//!
//! By the last rule, comments that start a line and indentation can be left out without knowing much
//! of the language: htm makes nothing of the white space around the end of a line.

use super::open::Open;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Reads a module by its path below the client's directory.
pub(super) type Read<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// The script for `entry`, and the paths of what it is made of.
pub(super) fn join(entry: &str, read: Read<'_>) -> Result<(String, Vec<String>), String> {
    let mut join = Join { entry, read, script: String::new(), done: BTreeMap::new() };
    join.add(entry)?;
    Ok((join.script, join.done.into_keys().collect()))
}

struct Join<'a> {
    entry: &'a str,
    read: Read<'a>,
    script: String,
    /// The modules that were met, and whether they are in the script.
    done: BTreeMap<String, bool>,
}

/// A module whose lines are read.
#[derive(Default)]
struct Module {
    body: String,
    /// The properties of what its function returns.
    exports: Vec<String>,
}

impl Join<'_> {
    /// Writes a module behind those that it imports.
    fn add(&mut self, path: &str) -> Result<(), String> {
        match self.done.get(path) {
            Some(true) => return Ok(()),
            Some(false) => return Err(format!("{path} imports itself by way of others")),
            None => self.done.insert(path.to_owned(), false),
        };
        let source = (self.read)(path)?;
        let Module { body, exports } =
            self.parse(path, &source).map_err(|error| format!("{path}: {error}"))?;
        let (name, exports) = (variable(path), exports.join(", "));
        let _ = match path == self.entry {
            true => write!(self.script, "{body}"),
            false => writeln!(
                self.script,
                "const {name} = (() => {{\n{body}return {{ {exports} }};\n}})();"
            ),
        };
        self.done.insert(path.to_owned(), true);
        Ok(())
    }

    /// Imports a module that stays as it is. The script may say so anywhere: imports come first.
    fn keep(&mut self, path: &str) {
        if self.done.insert(path.to_owned(), true).is_none() {
            let up = "../".repeat(self.entry.matches('/').count());
            let _ = writeln!(self.script, "import * as {} from './{up}{path}';", variable(path));
        }
    }

    fn parse(&mut self, path: &str, source: &str) -> Result<Module, String> {
        let mut module = Module::default();
        let mut lines = code(source)?.into_iter();
        while let Some(line) = lines.next() {
            if line.starts_with("import ") || line.starts_with("export {") {
                let mut statement = line.to_owned();
                while !statement.ends_with(';') {
                    statement += lines.next().ok_or("an import does not end")?;
                }
                self.refer(path, &statement, &mut module)?;
            } else if let Some(declaration) = line.strip_prefix("export ") {
                module.exports.push(declared(declaration)?.to_owned());
                push(&mut module.body, declaration);
            } else {
                push(&mut module.body, line.trim_start());
            }
        }
        let is_moved = directory(path) != directory(self.entry);
        if is_moved && module.body.contains("import.meta") {
            return Err("import.meta would be that of another directory".into());
        }
        Ok(module)
    }

    /// Takes in what an import, or an export from elsewhere, names.
    fn refer(&mut self, path: &str, statement: &str, module: &mut Module) -> Result<(), String> {
        let refused = || format!("imports are not written so: {statement}");
        let (what, from) =
            statement.trim_end_matches(';').rsplit_once(" from ").ok_or_else(refused)?;
        let from = from.strip_prefix('\'').and_then(|from| from.strip_suffix('\''));
        let from = from.and_then(|from| resolve(path, from)).ok_or_else(refused)?;
        if from.ends_with(".mjs") {
            self.keep(&from);
        } else {
            self.add(&from)?;
        }
        let other = variable(&from);
        if let Some(name) = what.strip_prefix("import * as ") {
            push(&mut module.body, &format!("const {name} = {other};"));
        } else if let Some(names) = what.strip_prefix("import ").and_then(names) {
            let taken: Vec<String> = names.map(|name| name.replace(" as ", ": ")).collect();
            push(&mut module.body, &format!("const {{ {} }} = {other};", taken.join(", ")));
        } else if let Some(names) = what.strip_prefix("export ").and_then(names) {
            module.exports.extend(names.map(|name| {
                let (inner, outer) = name.split_once(" as ").unwrap_or((name, name));
                format!("{outer}: {other}.{inner}")
            }));
        } else {
            return Err(refused());
        }
        Ok(())
    }
}

/// The lines that hold code, without the comments that start them.
fn code(source: &str) -> Result<Vec<&str>, String> {
    let mut lines = Vec::new();
    let mut in_comment = false;
    let mut open = Open::default();
    for mut line in source.lines().map(str::trim_end) {
        // What looks like a comment in a template's text is text.
        while !open.is_in_text() {
            if in_comment {
                let Some((_, rest)) = line.split_once("*/") else { break };
                line = rest;
            }
            let Some(comment) = line.trim_start().strip_prefix("/*") else {
                in_comment = false;
                break;
            };
            (line, in_comment) = (comment, true);
        }
        let is_comment = line.trim_start().starts_with("//") && !open.is_in_text();
        if in_comment || line.trim_start().is_empty() || is_comment {
            continue;
        }
        check(line)?;
        open.read(line)?;
        lines.push(line);
    }
    match (in_comment, open.is_code()) {
        (true, _) => Err("a comment does not end".into()),
        (_, false) => Err("a template does not end".into()),
        _ => Ok(lines),
    }
}

/// Whether a line ends what it begins, and names nothing that the joiner might.
fn check(line: &str) -> Result<(), String> {
    let named = line.match_indices('$').any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + 1..].chars().next());
        let starts = before.is_none_or(|before| !before.is_alphanumeric());
        starts && after.is_some_and(char::is_alphabetic)
    });
    let opened = line.rfind("/*").is_some_and(|at| !line[at..].contains("*/"));
    if named || line.ends_with('\\') || opened {
        Err(format!("code is not written so: {line}"))
    } else {
        Ok(())
    }
}

/// What a declaration names.
fn declared(declaration: &str) -> Result<&str, String> {
    ["class ", "const ", "function ", "async function "]
        .iter()
        .find_map(|kind| declaration.strip_prefix(kind))
        .and_then(|rest| rest.split(|at: char| !at.is_alphanumeric() && at != '_').next())
        .filter(|name| !name.is_empty())
        .ok_or_else(|| format!("exports are not written so: {declaration}"))
}

/// The names between braces.
fn names(braced: &str) -> Option<impl Iterator<Item = &str>> {
    let inside = braced.trim().strip_prefix('{')?.strip_suffix('}')?;
    Some(inside.split(',').map(str::trim).filter(|name| !name.is_empty()))
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// The path that a module names.
fn resolve(path: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for (at, part) in relative.split('/').enumerate() {
        match part {
            "." if at == 0 => {}
            ".." => drop(parts.pop()?),
            _ if at == 0 => return None,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// What the functions' results are called.
fn variable(path: &str) -> String {
    let name = path
        .trim_end_matches(".mjs")
        .trim_end_matches(".js")
        .replace(|at: char| !at.is_ascii_alphanumeric(), "_");
    format!("${name}")
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
