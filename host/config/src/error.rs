//! What can be wrong with a configuration, with the place and the way out.

use std::path::PathBuf;

use crate::location::Location;

/// Why a configuration could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is missing, or cannot be read.
    #[error("{}: expected a config file, found none that can be read", path.display())]
    Read {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not of a kind that is read here.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file that was asked for.
        path: PathBuf,
        /// What is wrong with it.
        problem: Box<Problem>,
    },
    /// Something at a known line is wrong.
    #[error("{location}: {problem}")]
    At {
        /// Where it is written.
        location: Location,
        /// What is wrong.
        problem: Box<Problem>,
    },
    /// An override cannot be read or does not fit the configuration.
    #[error("--cfg-options {}: {problem}", shortened(option))]
    Override {
        /// The override as it was given.
        option: String,
        /// What is wrong.
        problem: Box<Problem>,
    },
}

/// What is wrong, without the place.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The text does not follow the grammar of its format.
    #[error("expected {format} syntax: {message}")]
    Syntax {
        /// The format's name.
        format: &'static str,
        /// The parser's words.
        message: String,
    },
    /// Python has it, the config language does not.
    #[error("{what} are not part of the config language{}", hint_in_brackets(hint))]
    NotInLanguage {
        /// The construct, in the plural.
        what: String,
        /// What to write instead; may be empty.
        hint: &'static str,
    },
    /// A name that nothing defines.
    #[error("name `{name}` is not defined{}", nearest_in_brackets(nearest))]
    UnknownName {
        /// The name as written.
        name: String,
        /// The most similar known name.
        nearest: Option<String>,
    },
    /// A key that a dict does not have.
    #[error("{holder} has no key `{key}`{}", nearest_in_brackets(nearest))]
    UnknownKey {
        /// The dict, in words.
        holder: String,
        /// The key as written.
        key: String,
        /// The most similar key that it has.
        nearest: Option<String>,
    },
    /// A value is of the wrong type or size for what is done with it.
    #[error("{0}")]
    Value(String),
    /// A bound on hostile files was reached.
    #[error("{what}: expected at most {limit}, found more (simplify the config)")]
    Limit {
        /// What was too much.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// A dict meets something else in the base.
    #[error(
        "key `{key}`: expected a dict in the base, since it is a dict here, found {found} \
         written at {base} (set `_delete_=True` in it to replace what the base has)"
    )]
    Merge {
        /// The dotted path of the key.
        key: String,
        /// The base's type.
        found: &'static str,
        /// Where the base wrote it.
        base: Location,
    },
    /// Two sibling bases define one key.
    #[error(
        "key `{key}` is defined by two bases of one file, here and at {other} \
         (a key may come from one of them only: let one base inherit from the other, or rename it)"
    )]
    DuplicateKey {
        /// The top-level key.
        key: String,
        /// Where the other base wrote it.
        other: Location,
    },
    /// A top-level key that MMEngine keeps for itself.
    #[error("key `{0}` is reserved (rename it)")]
    Reserved(String),
    /// A base file that does not exist.
    #[error("base {}: expected a config file, found nothing{}", path.display(), nearest_in_brackets(nearest))]
    BaseMissing {
        /// The path that was tried.
        path: PathBuf,
        /// A similar file name beside it.
        nearest: Option<String>,
    },
    /// A `pkg::` base whose package is nowhere.
    #[error(
        "base {base}: package {package} is in none of the folders searched ({}) ({})",
        list(searched),
        how_to_get(package)
    )]
    PackageMissing {
        /// The base as written.
        base: String,
        /// The package's name.
        package: String,
        /// The folders that were looked into.
        searched: Vec<PathBuf>,
    },
    /// A base inherits from itself, perhaps through others.
    #[error("bases form a cycle: {}", chain.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" -> "))]
    Cycle {
        /// The files, from the first to itself again.
        chain: Vec<PathBuf>,
    },
    /// A file that is in none of the folders that files may be in.
    #[error(
        "{}: expected a file in {}, found it elsewhere (move it, or allow its folder)",
        path.display(),
        list(roots)
    )]
    OutsideRoots {
        /// The file, with links followed.
        path: PathBuf,
        /// The folders that are allowed.
        roots: Vec<PathBuf>,
    },
    /// `{{$NAME:}}` with neither a value nor a default.
    #[error(
        "environment variable {0} is not set and has no default (set it, or write {{{{${0}:default}}}})"
    )]
    Environment(String),
}

/// A text of the user's as it is shown in a message, cut when it is long.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 120;
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

fn nearest_in_brackets(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default()
}

fn hint_in_brackets(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!(" ({hint})") }
}

fn list(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "none exist".to_owned();
    }
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn how_to_get(package: &str) -> String {
    let version = if package == "mmdet" { "==3.3.0" } else { "" };
    format!(
        "get it with `pip download --no-deps {package}{version}`, unpack the wheel, and set \
         SNAPHOOK_CONFIG_PATH to the folder it was unpacked into or pass that as --config-path"
    )
}
