//! All findings as text for people or JSON for programs. Knows nothing of what was checked.

use std::io::IsTerminal;
use std::path::Path;

use annotate_snippets::Renderer;
use serde_json::{Value as Json, json};

use super::excerpt::{Sources, shown};
use super::{Finding, Severity};

/// Narrowest and widest excerpt, in columns.
const COLUMNS: std::ops::RangeInclusive<usize> = 60..=160;

/// Most findings that are shown as excerpts: nobody reads more, and each one costs.
const MOST_SHOWN: usize = 100;

/// How many errors and warnings there are.
fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

/// Each finding with its excerpt, and their number at the end.
pub(crate) fn as_text(path: &Path, findings: &[Finding], overrides: &[String]) -> String {
    let excerpts = excerpts(findings, overrides, &std::io::stdout());
    let gap = if excerpts.is_empty() { "" } else { "\n\n" };
    format!("{excerpts}{gap}{}: {}\n", path.display(), summary(findings))
}

/// Each finding with its excerpt, in colours where the stream shows them.
pub(crate) fn excerpts(
    findings: &[Finding],
    overrides: &[String],
    stream: &impl IsTerminal,
) -> String {
    let renderer = match crate::report::wants_colour(stream) {
        true => Renderer::styled(),
        false => Renderer::plain(),
    };
    let renderer = renderer.term_width(columns());
    let mut sources = Sources::new(overrides);
    let excerpts = findings.iter().take(MOST_SHOWN);
    let mut excerpts: Vec<String> =
        excerpts.map(|finding| shown(finding, &mut sources, &renderer)).collect();
    match findings.len().saturating_sub(MOST_SHOWN) {
        0 => {}
        more => excerpts.push(format!("… and {more} more (fix these first, or use --format json)")),
    }
    excerpts.join("\n\n")
}

fn columns() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    told.unwrap_or(120).clamp(*COLUMNS.start(), *COLUMNS.end())
}

fn summary(findings: &[Finding]) -> String {
    let of = |severity, word: &str| match count(findings, severity) {
        0 => format!("no {word}s"),
        1 => format!("1 {word}"),
        many => format!("{many} {word}s"),
    };
    format!("{}, {}", of(Severity::Error, "error"), of(Severity::Warning, "warning"))
}

/// `{"config", "errors", "warnings", "findings": [{"severity", "code", "key", "file", "line", "message"}]}`
pub(crate) fn as_json(path: &Path, findings: &[Finding]) -> Json {
    let one = |finding: &Finding| {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        json!({
            "severity": severity,
            "code": finding.code,
            "key": finding.key,
            "file": finding.location.as_ref().map(|location| &location.file),
            "line": finding.location.as_ref().map(|location| location.line),
            "message": finding.message,
        })
    };
    json!({
        "config": path,
        "errors": count(findings, Severity::Error),
        "warnings": count(findings, Severity::Warning),
        "findings": findings.iter().map(one).collect::<Vec<_>>(),
    })
}
