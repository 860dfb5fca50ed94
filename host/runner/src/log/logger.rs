//! Where log lines go: the console (past a progress bar, if there is one) and the run's file.
//! The logger is called `mmengine` in each line, since parsers of MMEngine's logs look for it.
//! Knows nothing of what is logged.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{Local, SecondsFormat};
use indicatif::ProgressBar;
use serde_json::{Map, Value as Json, json};
use snaphook_plugin_api::host::{LogLevel, printable};
use tracing::field::{Field, Visit};

/// What the console is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// A person looks at it: colours, a progress bar.
    Terminal,
    /// A file or a pipe: plain lines.
    Plain,
    /// A program reads it: one JSON object a line, on standard error.
    Json,
    /// Nothing is printed (tests, other ranks).
    Silent,
}

impl Console {
    /// What standard output is; `NO_COLOR` and `TERM=dumb` make a terminal plain.
    pub fn detect() -> Console {
        let plain = std::env::var_os("NO_COLOR").is_some()
            || std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        if terminal && !plain { Console::Terminal } else { Console::Plain }
    }
}

/// The log of a run; cheap to clone, usable from every thread.
#[derive(Clone)]
pub struct RunLogger {
    shared: Arc<Mutex<Shared>>,
    console: Console,
    level: LogLevel,
}

/// So many texts of warnings are known at a time.
const MAX_WARNED: usize = 1000;

struct Shared {
    file: Option<File>,
    early: String,
    bar: Option<ProgressBar>,
    warned: HashSet<String>,
    file_failed: bool,
}

impl RunLogger {
    /// A log that writes to `console` and, once [`RunLogger::attach_file`] was called, to a file too;
    /// lines from before that are kept for the file.
    pub fn new(console: Console, level: LogLevel) -> RunLogger {
        let shared = Shared {
            file: None,
            early: String::new(),
            bar: None,
            warned: HashSet::new(),
            file_failed: false,
        };
        RunLogger { shared: Arc::new(Mutex::new(shared)), console, level }
    }

    /// Sets up what this thread needs for its first record, such as the time zone; later records then wait for nothing
    /// but this log.
    pub fn prepare_thread() {
        let _ = Local::now().format("%Y/%m/%d").to_string();
    }

    /// The most verbose level that is written.
    pub fn level(&self) -> LogLevel {
        self.level
    }

    /// What the console is.
    pub fn console(&self) -> Console {
        self.console
    }

    /// Writes to this file from now on.
    ///
    /// Errors: the file cannot be made.
    pub fn attach_file(&self, path: &Path) -> std::io::Result<()> {
        let mut file = File::options().create(true).append(true).open(path)?;
        let mut shared = self.lock();
        file.write_all(std::mem::take(&mut shared.early).as_bytes())?;
        shared.file = Some(file);
        Ok(())
    }

    /// Shows this bar below the lines; `None` takes it away.
    pub fn set_bar(&self, bar: Option<ProgressBar>) {
        let old = std::mem::replace(&mut self.lock().bar, bar);
        if let Some(old) = old {
            old.finish_and_clear();
        }
    }

    /// Does something with the bar, if there is one.
    pub fn with_bar(&self, change: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = &self.lock().bar {
            change(bar);
        }
    }

    /// A line for the file alone, such as one that is too long for a console.
    pub fn info_in_file(&self, message: &str) {
        let now = Local::now().format("%Y/%m/%d %H:%M:%S");
        self.lock().append(&format!("{now} - mmengine - INFO - {message}\n"));
    }

    /// The error that ends the run, for the file alone: the program tells it on the console itself.
    pub fn last_error(&self, message: &str) {
        let now = Local::now().format("%Y/%m/%d %H:%M:%S");
        self.lock().append(&format!("{now} - mmengine - ERROR - {message}\n"));
    }

    /// An information line.
    pub fn info(&self, message: impl AsRef<str>) {
        self.write(LogLevel::Info, "", message.as_ref());
    }

    /// A warning of the run itself; the same text is shown once, as MMEngine's logger does.
    pub fn warn(&self, message: impl AsRef<str>) {
        self.write(LogLevel::Warn, "", message.as_ref());
    }

    /// Numbers of one step, for programs that read the console; people see them in lines.
    pub fn scalars(&self, values: &Map<String, Json>, step: u64) {
        if self.console == Console::Json {
            // Numbers that JSON does not know are texts here.
            print_json(json!({ "level": "INFO", "step": step, "scalars": values }));
        }
    }

    /// One record. `source` is the plugin or its hook, empty for the runner itself. What a plugin says twice is shown
    /// twice, whoever said the same before.
    pub fn write(&self, level: LogLevel, source: &str, message: &str) {
        if level > self.level {
            return;
        }
        let mut shared = self.lock();
        if level == LogLevel::Warn && source.is_empty() && shared.has_warned(message) {
            return;
        }
        let name = level_name(level);
        let now = Local::now();
        let body = match source {
            "" => message.to_owned(),
            // A plugin's, which must not look like a record of the run.
            _ => format!("{}: {}", printable(source), printable(message)),
        };
        let line = format!("{} - mmengine - {name} - {body}\n", now.format("%Y/%m/%d %H:%M:%S"));
        shared.append(&line);
        match self.console {
            Console::Json => {
                print_json(json!({ "level": name, "source": source, "message": message }))
            }
            _ => self.show(&shared, level, &now.format("%m/%d %H:%M:%S").to_string(), &body),
        }
    }

    fn show(&self, shared: &Shared, level: LogLevel, time: &str, body: &str) {
        let line = match self.console {
            Console::Silent | Console::Json => return,
            Console::Plain => format!("{time} - mmengine - {} - {body}\n", level_name(level)),
            Console::Terminal => {
                let colour = match level {
                    LogLevel::Error => "31",
                    LogLevel::Warn => "33",
                    _ => "32",
                };
                format!(
                    "{time} - mmengine - \x1b[4;{colour}m{}\x1b[0m - {body}\n",
                    level_name(level)
                )
            }
        };
        // A closed pipe (`snaphook train … | head`) must not end a training run.
        let print = || std::io::stdout().lock().write_all(line.as_bytes()).ok();
        match &shared.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        };
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Whether the run warned of this before; after [`MAX_WARNED`] texts it begins anew.
    fn has_warned(&mut self, message: &str) -> bool {
        if self.warned.len() >= MAX_WARNED && !self.warned.contains(message) {
            self.warned.clear();
        }
        !self.warned.insert(message.to_owned())
    }

    fn append(&mut self, line: &str) {
        let Some(file) = &mut self.file else {
            self.early.push_str(line);
            return;
        };
        let written = file.write_all(line.as_bytes());
        if let Err(error) = written
            && !std::mem::replace(&mut self.file_failed, true)
        {
            eprintln!("snaphook: the log file cannot be written any more: {error}");
        }
    }
}

/// One line of JSON on standard error, with the time in front.
fn print_json(record: Json) {
    let time = Local::now().to_rfc3339_opts(SecondsFormat::Millis, false);
    let mut line = Map::from_iter([("time".to_owned(), time.into())]);
    if let Json::Object(fields) = record {
        line.extend(fields.into_iter().filter(|(_, value)| value != ""));
    }
    // A reader that is gone must not end a training run.
    let _ = std::io::stderr().lock().write_all(format!("{}\n", Json::Object(line)).as_bytes());
}

fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "ERROR",
        LogLevel::Warn => "WARNING",
        LogLevel::Info => "INFO",
        LogLevel::Debug => "DEBUG",
        LogLevel::Trace => "TRACE",
    }
}

/// Brings `tracing` records of other crates (data loading, plugins' loader) into the run's log.
pub struct LogLayer(pub RunLogger);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for LogLayer {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => LogLevel::Error,
            tracing::Level::WARN => LogLevel::Warn,
            tracing::Level::INFO => LogLevel::Info,
            tracing::Level::DEBUG => LogLevel::Debug,
            tracing::Level::TRACE => LogLevel::Trace,
        };
        let mut text = RecordText(String::new());
        event.record(&mut text);
        self.0.write(level, "", &text.0);
    }
}

struct RecordText(String);

impl Visit for RecordText {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let separator = if self.0.is_empty() { "" } else { " " };
        let _ = match field.name() {
            "message" => write!(self.0, "{separator}{value:?}"),
            name => write!(self.0, "{separator}{name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_warnings_do_not_grow_without_bound() {
        let logger = RunLogger::new(Console::Silent, LogLevel::Info);
        (0..3 * MAX_WARNED).for_each(|number| logger.warn(number.to_string()));
        assert!(logger.lock().warned.len() <= MAX_WARNED);
    }

    #[test]
    fn record_of_a_plugin_cannot_look_like_one_of_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        let logger = RunLogger::new(Console::Silent, LogLevel::Info);
        logger.attach_file(&path).unwrap();
        logger.write(
            LogLevel::Info,
            "forge",
            "a\u{1b}[2J\n2026/01/01 00:00:00 - mmengine - INFO - b",
        );
        logger.write(LogLevel::Info, "forge", "\u{202e}c");
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].ends_with(" - mmengine - INFO - forge: a\\u{1b}[2J"), "{text}");
        assert_eq!(lines[1], "    2026/01/01 00:00:00 - mmengine - INFO - b");
        assert!(lines[2].ends_with(" - forge: \\u{202e}c"), "{text}");
    }

    #[test]
    fn lines_from_before_the_file_are_in_it_and_warnings_come_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        let logger = RunLogger::new(Console::Silent, LogLevel::Info);
        logger.info("early");
        logger.attach_file(&path).unwrap();
        logger.warn("twice");
        logger.warn("twice");
        logger.write(LogLevel::Warn, "WarnHook", "twice");
        logger.write(LogLevel::Warn, "WarnHook", "twice");
        logger.write(LogLevel::Debug, "", "too verbose");
        logger.write(LogLevel::Info, "TraceHook", "late");
        let text = std::fs::read_to_string(&path).unwrap();
        let bodies: Vec<_> = text.lines().map(|line| line.split_once(" - ").unwrap().1).collect();
        assert_eq!(
            bodies,
            [
                "mmengine - INFO - early",
                "mmengine - WARNING - twice",
                "mmengine - WARNING - WarnHook: twice",
                "mmengine - WARNING - WarnHook: twice",
                "mmengine - INFO - TraceHook: late"
            ]
        );
    }
}
