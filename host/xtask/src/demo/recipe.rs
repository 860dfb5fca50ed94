//! The demo's config file: a template that is a valid config by itself, with four lines replaced.

use std::path::Path;

const TEMPLATE: &str = include_str!("config.py");

/// What the command line may change.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    pub(crate) seed: u64,
    /// `None` keeps the template's.
    pub(crate) epochs: Option<u32>,
}

/// The text of the config file for one run.
pub(crate) fn write(numbers: &Numbers, data: &Path, trace_file: &Path) -> String {
    let mut text = String::new();
    for line in TEMPLATE.lines() {
        match (line.split(" = ").next(), numbers.epochs) {
            (Some("data_root"), _) => text += &format!("data_root = {}", quoted(data, "/")),
            (Some("trace_file"), _) => text += &format!("trace_file = {}", quoted(trace_file, "")),
            (Some("max_epochs"), Some(epochs)) => text += &format!("max_epochs = {epochs}"),
            (Some("num_last_epochs"), Some(epochs)) => {
                text += &format!("num_last_epochs = {}", epochs / 3);
            }
            _ => text += line,
        }
        text.push('\n');
    }
    text
}

/// A path as a Python string.
fn quoted(path: &Path, ending: &str) -> String {
    let escaped = path.display().to_string().replace('\\', "\\\\").replace('\'', "\\'");
    format!("'{escaped}{ending}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_lines_numbers_reach_the_config() {
        let numbers = Numbers { seed: 0, epochs: Some(6) };
        let text = write(&numbers, Path::new("/t/it's data"), Path::new("/run/t.jsonl"));
        assert!(text.contains("\ntrace_file = '/run/t.jsonl'\n"));
        assert!(text.contains("\ndata_root = '/t/it\\'s data/'\n"));
        assert!(text.contains("\nmax_epochs = 6\n"));
        assert!(text.contains("\nnum_last_epochs = 2\n"));
    }

    #[test]
    fn without_numbers_only_the_paths_change() {
        let text =
            write(&Numbers { seed: 0, epochs: None }, Path::new("data"), Path::new("trace.jsonl"));
        assert_eq!(text, TEMPLATE);
    }

    #[test]
    fn the_demo_uses_hooks_from_plugins() {
        for hook in ["CheckInvalidLossHook", "MemoryProfilerHook", "TraceHook"] {
            assert!(TEMPLATE.contains(&format!("dict(type='{hook}'")), "{hook}");
        }
    }
}
