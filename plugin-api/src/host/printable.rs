//! Text of a plugin made harmless for a terminal and for a log. Knows nothing of where the text comes from.

/// Whether a terminal or an editor would obey this letter instead of showing it: control characters, separators of
/// lines, and marks that change the direction of the text around them.
pub fn is_obeyed(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with `\u{1b}` for each letter that would be obeyed. Lines after the first are indented, so that none can be
/// taken for a record of its own; tabs stay.
///
/// ```
/// use snaphook_plugin_api::host::printable;
/// assert_eq!(printable("a\u{1b}[2J\n2026/01/01 - forged"), "a\\u{1b}[2J\n    2026/01/01 - forged");
/// ```
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            shown.push('\n');
            if !line.starts_with("    ") {
                shown.push_str("    ");
            }
        }
        for letter in line.chars() {
            match letter {
                '\t' => shown.push(letter),
                letter if is_obeyed(letter) => shown.extend(letter.escape_unicode()),
                letter => shown.push(letter),
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn nothing_that_would_be_obeyed_is_left_and_a_second_time_changes_nothing() {
        let shown = printable("a\u{202e}b\r\n\rc\u{7}\n\td\u{2028}e\u{9b}");
        assert_eq!(shown, "a\\u{202e}b\n    \\u{d}c\\u{7}\n    \td\\u{2028}e\\u{9b}");
        assert_eq!(printable(&shown), shown);
        assert_eq!(printable("plain: ü 漢 🦀"), "plain: ü 漢 🦀");
    }
}
