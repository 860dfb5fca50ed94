//! The line that a finding is about, with a mark under what is wrong. Knows nothing of what is wrong.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use snaphook_config::Location;

use super::{Finding, Mark, Severity};
use crate::output::plain;

/// Longest file that an excerpt is taken from, in bytes: as long as a config may be.
const LONGEST: u64 = 2 << 20;

/// The texts that locations point into.
pub(crate) struct Sources<'a> {
    overrides: &'a [String],
    files: HashMap<PathBuf, Option<String>>,
}

impl<'a> Sources<'a> {
    /// `overrides` as they were applied.
    pub(crate) fn new(overrides: &'a [String]) -> Sources<'a> {
        Sources { overrides, files: HashMap::new() }
    }

    /// The text of a place, and the number of its first line.
    fn text(&mut self, location: &Location) -> Option<(&str, usize)> {
        let line = location.line as usize;
        if location.is_override() {
            return Some((self.overrides.get(line.checked_sub(1)?)?, line));
        }
        let text = self.files.entry(location.file.clone()).or_insert_with(|| read(&location.file));
        Some((text.as_deref()?, 1))
    }
}

fn read(path: &Path) -> Option<String> {
    let file = std::fs::File::open(path).ok().filter(|_| path.is_file())?;
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// A finding with its excerpt, as text that ends without a line break.
pub(crate) fn shown(finding: &Finding, sources: &mut Sources<'_>, renderer: &Renderer) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let message = match finding.key.as_str() {
        "" => finding.message.clone(),
        key => format!("{key}: {}", finding.message),
    };
    let mut lines = message.lines().map(plain);
    let title = level.primary_title(lines.next().unwrap_or_default()).id(finding.code);
    let notes: Vec<String> = lines.collect();
    let path =
        finding.location.as_ref().map(|location| plain(&location.file.display().to_string()));
    let place = finding.location.as_ref().and_then(|location| {
        let (text, first) = sources.text(location)?;
        let span = span(text, location.line as usize - first, finding)?;
        Some((text, first, span))
    });
    let mut group = match (place, path) {
        (Some((text, first, span)), Some(path)) => title.element(
            Snippet::source(text)
                .path(path)
                .line_start(first)
                .annotation(AnnotationKind::Primary.span(span)),
        ),
        _ => annotate_snippets::Group::with_title(title),
    };
    if !notes.is_empty() {
        group = group.element(Level::NOTE.message(notes.join("\n")));
    }
    renderer.render(&[group])
}

/// The bytes of `text` to be marked, in line `index` from 0.
fn span(text: &str, index: usize, finding: &Finding) -> Option<Range<usize>> {
    let line = text.split('\n').nth(index)?;
    let start: usize = text.split('\n').take(index).map(|line| line.len() + 1).sum();
    let key = finding.key.rsplit('.').next().unwrap_or_default();
    let range = match (finding.mark, key_of(line, key)) {
        (Mark::Line, _) | (_, None) => whole(line),
        (Mark::Key, Some(key)) => key,
        (Mark::Value, Some(key)) => value_after(line, key.end).unwrap_or(key),
    };
    Some(start + range.start..start + range.end.max(range.start))
}

fn whole(line: &str) -> Range<usize> {
    let start = line.len() - line.trim_start().len();
    start..line.trim_end().len().max(start)
}

/// Where a key stands in a line, as a whole word before `=` or `:`.
fn key_of(line: &str, key: &str) -> Option<Range<usize>> {
    if key.is_empty() || key.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(key).map(|(at, _)| at..at + key.len()).find(|range| {
        let after = line[range.end..].trim_start_matches(['\'', '"', ']', ' ']);
        !line[..range.start].ends_with(is_word) && after.starts_with(['=', ':', '+'])
    })
}

/// Where the value stands that begins after the `=` or `:` behind `from`: to the next comma or closing
/// bracket that is not inside of it.
fn value_after(line: &str, from: usize) -> Option<Range<usize>> {
    let sign = from + line[from..].find(['=', ':'])? + 1;
    let start = sign + (line[sign..].len() - line[sign..].trim_start().len());
    let (mut depth, mut quote) = (0_i32, None);
    let mut end = line.len();
    for (at, letter) in line[start..].char_indices() {
        match (quote, letter) {
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') if depth > 0 => depth -= 1,
            (None, ',' | ')' | ']' | '}') if depth == 0 => {
                end = start + at;
                break;
            }
            (None, '#') => {
                end = start + at;
                break;
            }
            _ => {}
        }
    }
    let end = start + line[start..end].trim_end().len();
    (end > start).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(line: &str, key: &str, mark: Mark) -> String {
        let finding = Finding::error("x", key, "").marked(mark);
        let text = format!("# first\n{line}\n");
        text[span(&text, 1, &finding).unwrap()].to_owned()
    }

    #[test]
    fn keys_and_values_are_found_in_their_line() {
        let line = "model = dict(bbox_head=dict(num_classes=3, 'type'='X'), neck={'type': 'FPN'})  # num_classes";
        assert_eq!(marked(line, "model.bbox_head.num_classes", Mark::Value), "3");
        assert_eq!(marked(line, "model.bbox_head.num_classes", Mark::Key), "num_classes");
        assert_eq!(marked(line, "model.bbox_head", Mark::Value), "dict(num_classes=3, 'type'='X')");
        assert_eq!(marked("    lr=(1, 2),  # fast", "a.lr", Mark::Value), "(1, 2)");
        assert_eq!(marked("lr: 0.1", "lr", Mark::Value), "0.1");
        assert_eq!(marked("  \"max\": 3,", "a.max", Mark::Value), "3");
    }

    #[test]
    fn the_whole_line_is_marked_where_the_key_is_not_in_it() {
        assert_eq!(marked("  dict(type='A'),", "pipe.0", Mark::Value), "dict(type='A'),");
        assert_eq!(marked("  momentum_lr=3", "lr", Mark::Value), "momentum_lr=3");
        assert_eq!(marked("", "lr", Mark::Value), "");
    }

    #[test]
    fn a_finding_shows_its_line_and_an_override_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.py");
        std::fs::write(&path, "a = 1\nmodel = dict(depth=\"x\")\n").unwrap();
        let mut finding = Finding::error("value", "model.depth", "expected a number, found \"x\"");
        finding.location = Some(Location { file: path.clone(), line: 2 });
        let overrides = ["lr=1".to_owned(), "model.depth=y".to_owned()];
        let mut sources = Sources::new(&overrides);
        let text = shown(&finding, &mut sources, &Renderer::plain());
        assert!(text.starts_with("error[value]: model.depth: expected a number"), "{text}");
        assert!(text.contains(&format!("{}:2:20", path.display())), "{text}");
        assert!(text.contains("2 | model = dict(depth=\"x\")"), "{text}");
        assert!(text.contains("|                    ^^^"), "{text}");
        finding.location = Some(Location { file: "--cfg-options".into(), line: 2 });
        let text = shown(&finding, &mut sources, &Renderer::plain());
        assert!(text.contains("--cfg-options:2:") && text.contains("model.depth=y"), "{text}");
    }
}
