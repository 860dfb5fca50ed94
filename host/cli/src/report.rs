//! Prints an error the one way that every Snaphook program does. Knows nothing of exit codes.

use std::error::Error;
use std::io::{IsTerminal, Write};

use serde_json::json;

use crate::args::LogFormat;

/// Writes `error: …` with the whole chain of causes to stderr, each cause once.
pub fn print_error(error: &dyn Error) {
    tell("1;31", "error:", &error_text(error));
}

/// As [`print_error`], as one line of JSON where a program reads.
pub fn print_error_as(format: LogFormat, error: &dyn Error) {
    match format {
        LogFormat::Text => print_error(error),
        LogFormat::Json => tell_json("ERROR", &error_text(error)),
    }
}

/// As [`print_warning`], as one line of JSON where a program reads.
pub fn print_warning_as(format: LogFormat, text: &str) {
    match format {
        LogFormat::Text => print_warning(text),
        LogFormat::Json => tell_json("WARNING", text),
    }
}

fn tell_json(level: &str, text: &str) {
    let time = chrono::Local::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, false);
    let line = json!({ "time": time, "level": level, "message": text });
    // When stderr itself is closed there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes `warning: …` to stderr.
pub fn print_warning(text: &str) {
    tell("1;33", "warning:", text);
}

fn tell(colour: &str, label: &str, text: &str) {
    let label = coloured(label, colour, wants_colour(&std::io::stderr()));
    // When stderr itself is closed there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{label} {text}");
}

/// The text in a colour of the terminal, by the number of its escape sequence.
pub(crate) fn coloured(text: &str, colour: &str, is_wanted: bool) -> String {
    if is_wanted { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

/// The error and its causes, one per line, leaving out a cause whose text its effect already holds.
pub fn error_text(error: &dyn Error) -> String {
    let mut last = error.to_string();
    let mut text = last.clone();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !last.contains(&message) {
            text += &format!("\n  caused by: {message}");
            last = message;
        }
        cause = error.source();
    }
    text
}

/// Whether escape sequences are welcome: a terminal, and `NO_COLOR` not set.
pub fn wants_colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    fn layer(text: &'static str, cause: Option<Layer>) -> Layer {
        Layer(text, cause.map(Box::new))
    }

    #[test]
    fn every_cause_is_printed_once() {
        let root = layer("no such file", None);
        let repeated = layer("a.py: no such file", Some(root));
        let error = layer("config", Some(repeated));
        assert_eq!(error_text(&error), "config\n  caused by: a.py: no such file");
    }
}
