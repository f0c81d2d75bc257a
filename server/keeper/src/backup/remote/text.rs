//! What others say, for a line of a log.

/// As one line, without what would move a terminal's cursor.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|one| !one.is_control()).collect()
}
