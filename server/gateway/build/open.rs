//! Which literals are open where a line of a script ends: what of it is code, and what is a template's text.

/// Where reading is, from the outside in; nothing is the code of the module itself.
#[derive(Default)]
pub(super) struct Open {
    within: Vec<Within>,
}

#[derive(Clone, Copy, PartialEq)]
enum Within {
    /// The text of a template; whether it is one of the tag `html`, which alone spans lines.
    Text { is_markup: bool },
    /// What stands between `${` and `}`, with so many braces opened in it.
    Code { braces: usize },
}

impl Open {
    pub(super) fn is_in_text(&self) -> bool {
        matches!(self.within.last(), Some(Within::Text { .. }))
    }

    pub(super) fn is_code(&self) -> bool {
        self.within.is_empty()
    }

    /// Takes in the next line.
    pub(super) fn read(&mut self, line: &str) -> Result<(), String> {
        let mut rest = line;
        while let Some(next) = rest.chars().next() {
            let before = &line[..line.len() - rest.len()];
            let read = match self.within.last_mut() {
                Some(Within::Text { .. }) => self.text(rest, next),
                Some(Within::Code { braces }) if next == '}' && *braces == 0 => {
                    self.within.pop();
                    1
                }
                Some(Within::Code { braces }) if matches!(next, '{' | '}') => {
                    *braces = if next == '{' { *braces + 1 } else { *braces - 1 };
                    1
                }
                _ => match next {
                    '`' => {
                        self.within.push(Within::Text { is_markup: before.ends_with("html") });
                        1
                    }
                    '\'' | '"' => literal(rest, next).ok_or_else(|| odd(line))?,
                    '/' if rest.starts_with("//") => rest.len(),
                    '/' if rest.starts_with("/*") => rest.find("*/").ok_or_else(|| odd(line))? + 2,
                    '/' if is_expected(before) => literal(rest, '/').ok_or_else(|| odd(line))?,
                    _ => next.len_utf8(),
                },
            };
            rest = &rest[read..];
        }
        match self.within.contains(&Within::Text { is_markup: false }) {
            true => Err(odd(line)),
            false => Ok(()),
        }
    }

    /// How much to read on in a template's text.
    fn text(&mut self, rest: &str, next: char) -> usize {
        if next == '\\' {
            return 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
        }
        if rest.starts_with("${") {
            self.within.push(Within::Code { braces: 0 });
            return 2;
        }
        if next == '`' {
            self.within.pop();
        }
        next.len_utf8()
    }
}

/// How long a string or a regular expression is, with its ends.
fn literal(rest: &str, end: char) -> Option<usize> {
    let (mut is_escaped, mut in_class) = (false, false);
    for (at, next) in rest.char_indices().skip(1) {
        match next {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '[' if end == '/' => in_class = true,
            ']' if end == '/' => in_class = false,
            _ if next == end && !in_class => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Whether a value may follow, so that a slash begins a regular expression and divides nothing.
fn is_expected(before: &str) -> bool {
    let before = before.trim_end();
    before.ends_with("return")
        || before.chars().next_back().is_none_or(|last| "(,=:[!&|?{};<>+-*~^%".contains(last))
}

fn odd(line: &str) -> String {
    format!("code is not written so: {line}")
}
