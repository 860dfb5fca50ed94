//! Writes to stdout and lines up columns. Knows nothing of what is written.

use std::io::{self, Write};

use snaphook_plugin_api::host::is_obeyed;

/// Writes text to stdout; a reader that has seen enough (`| head`) is no error.
///
/// Errors: any other failure to write, such as a full disk.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Rows as text: two spaces between columns, each column as wide as its widest cell, the last one free.
pub(crate) fn table<const N: usize>(rows: &[[String; N]], indent: &str) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text += &format!("{indent}{}\n", line.trim_end());
    }
    text
}

/// Text from outside without control characters, which could change what a terminal shows.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|letter| if is_obeyed(letter) { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_without_trailing_spaces() {
        let rows = [
            ["a".to_owned(), "bb".into(), String::new()],
            ["ccc".into(), "d".into(), "e f".into()],
        ];
        assert_eq!(table(&rows, "  "), "  a    bb\n  ccc  d   e f\n");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(plain("a\x1b[31mb\nc\u{202e}d"), "a [31mb c d");
    }
}
