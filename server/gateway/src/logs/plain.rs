//! Plain text of whatever a program wrote for a terminal, or to deceive whoever reads it.

use std::iter::Peekable;
use std::str::Chars;

/// The text without escape sequences, control characters, and characters that turn the direction of
/// what follows them. Blanks stand for tabs and carriage returns. One line in, one line out.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest),
            '\u{9b}' => skip_control(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            '\t' | '\r' | '\n' => plain.push(' '),
            c if c.is_control() || turns(c) => {}
            c => plain.push(c),
        }
    }
    plain.truncate(plain.trim_end().len());
    plain
}

/// What follows ESC, as ECMA-48 has it.
fn skip_escape(rest: &mut Peekable<Chars<'_>>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            skip_control(rest);
        }
        Some('P' | 'X' | ']' | '^' | '_') => {
            rest.next();
            skip_string(rest);
        }
        Some(_) => {
            while rest.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            rest.next_if(|c| matches!(c, '0'..='~'));
        }
        None => {}
    }
}

/// The parameters of a control sequence and its last character. One that is none of it is not swallowed.
fn skip_control(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    rest.next_if(|c| matches!(c, '@'..='~'));
}

/// A title, a link or the like, to its end.
fn skip_string(rest: &mut Peekable<Chars<'_>>) {
    while let Some(c) = rest.next() {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' if rest.next_if_eq(&'\\').is_some() => return,
            _ => {}
        }
    }
}

/// Of Unicode's Bidi_Control, what makes a line read as another than it is.
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_gone_and_what_a_person_reads_stays() {
        for (said, read) in [
            ("plain text, größer, 日本語", "plain text, größer, 日本語"),
            ("\u{1b}[1;31mred\u{1b}[0m and \u{9b}2Jclean", "red and clean"),
            ("\u{1b}]0;a title\u{7}after", "after"),
            ("\u{1b}]8;;http://evil.example\u{1b}\\a link\u{1b}]8;;\u{1b}\\", "a link"),
            ("\u{1b}Pq#0\u{1b}\\sixel", "sixel"),
            ("\u{1b}(B\u{1b}=keys\u{1b}c", "keys"),
            ("10%\r20%\tdone\u{8}\u{0}", "10% 20% done"),
            ("safe\u{202e}gnp.exe\u{2069}", "safegnp.exe"),
            ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
            ("\u{1b}[12é", "é"),
            ("ends\u{1b}]0;never", "ends"),
        ] {
            assert_eq!(plain(said), read, "{said:?}");
            assert_eq!(plain(&plain(said)), read, "{said:?} once more");
        }
    }
}
