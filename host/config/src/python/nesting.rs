//! A look at Python text before it is parsed: a parser that recurses must not meet endless nesting.
//!
//! Knows strings, comments and brackets, nothing more of the grammar.

use crate::error::Problem;
use crate::limits::MAX_DEPTH;

/// Most operators in one statement that a parser reads by recursion to the right.
const MAX_RIGHT_NESTED: usize = 1000;

/// Refuses brackets, prefix operators and right-nested operators beyond what any config needs.
///
/// Errors: a limit, with the byte offset at which it was passed.
pub(crate) fn check_nesting(text: &str) -> Result<(), (usize, Problem)> {
    let bytes = text.as_bytes();
    let blocks = Vec::new();
    let mut scan = Scan { bytes, at: 0, depth: 0, prefixes: 0, right_nested: 0, blocks };
    while scan.at < scan.bytes.len() {
        scan.token();
        if scan.depth.max(scan.prefixes).max(scan.blocks.len()) > MAX_DEPTH {
            return Err((scan.at, limit(MAX_DEPTH)));
        }
        if scan.right_nested > MAX_RIGHT_NESTED {
            return Err((scan.at, limit(MAX_RIGHT_NESTED)));
        }
    }
    Ok(())
}

fn limit(limit: usize) -> Problem {
    Problem::Limit { what: "depth of nesting", limit: limit as u64 }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    prefixes: usize,
    right_nested: usize,
    /// The indentations of the blocks around the current line, outermost first.
    blocks: Vec<usize>,
}

impl Scan<'_> {
    fn token(&mut self) {
        let byte = self.bytes[self.at];
        match byte {
            b'#' => self.skip_comment(),
            b'\'' | b'"' => self.skip_string(byte),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => self.word(),
            _ => self.symbol(byte),
        }
    }

    fn symbol(&mut self, byte: u8) {
        self.at += 1;
        match byte {
            b'(' | b'[' | b'{' => self.depth += 1,
            b')' | b']' | b'}' => self.depth = self.depth.saturating_sub(1),
            b'\n' if self.depth == 0 => self.line_start(),
            b'-' | b'+' | b'~' => self.prefixes += 1,
            b'*' if self.bytes.get(self.at) == Some(&b'*') => self.right_nested += 1,
            b'0'..=b'9' => self.prefixes = 0,
            _ => {}
        }
    }

    /// Counts blocks in blocks by their indentation; empty lines and comments do not count.
    fn line_start(&mut self) {
        (self.prefixes, self.right_nested) = (0, 0);
        let rest = &self.bytes[self.at..];
        let is_space = |b: &u8| matches!(b, b' ' | b'\t' | b'\x0c');
        let indent = rest.iter().position(|b| !is_space(b)).unwrap_or(rest.len());
        if matches!(rest.get(indent), None | Some(b'\n' | b'\r' | b'#')) {
            return;
        }
        self.blocks.retain(|outer| *outer < indent);
        if indent > 0 {
            self.blocks.push(indent);
        }
    }

    fn word(&mut self) {
        let rest = &self.bytes[self.at..];
        let is_letter = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80;
        let length = rest.iter().position(|b| !is_letter(b)).unwrap_or(rest.len());
        match &rest[..length] {
            b"not" | b"await" | b"lambda" | b"yield" => self.prefixes += 1,
            b"if" | b"else" => self.right_nested += 1,
            _ => self.prefixes = 0,
        }
        self.at += length;
    }

    fn skip_comment(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    }

    /// Leaves an unclosed string at its line's end, as Python does.
    fn skip_string(&mut self, quote: u8) {
        self.prefixes = 0;
        let triple = self.bytes[self.at..].starts_with(&[quote; 3]);
        self.at += if triple { 3 } else { 1 };
        while let Some(byte) = self.bytes.get(self.at) {
            let rest = &self.bytes[self.at..];
            match byte {
                b'\\' => self.at += 2,
                b'\n' if !triple => return,
                byte if *byte != quote => self.at += 1,
                _ if !triple => {
                    self.at += 1;
                    return;
                }
                _ if rest.starts_with(&[quote; 3]) => {
                    self.at += 3;
                    return;
                }
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_brackets_are_refused() {
        assert!(check_nesting(&"(".repeat(100_000)).is_err());
        assert!(check_nesting(&"(\")\"+".repeat(100_000)).is_err());
    }

    #[test]
    fn long_chains_of_prefixes_are_refused() {
        assert!(check_nesting(&format!("a = {}1", "-".repeat(100_000))).is_err());
        assert!(check_nesting(&format!("a = {}1", "not ".repeat(100_000))).is_err());
        assert!(check_nesting(&format!("a = {}1", "1 if 1 else ".repeat(100_000))).is_err());
        assert!(check_nesting(&format!("a = {}1", "2 ** ".repeat(100_000))).is_err());
    }

    #[test]
    fn wide_files_pass() {
        let wide = format!("a = [{}]\nb = '''((('''\n# (((\n", "-1, (2), '[' , ".repeat(10_000));
        assert!(check_nesting(&wide).is_ok());
        assert!(check_nesting("a = 'open\nb = '\\").is_ok());
    }
}
