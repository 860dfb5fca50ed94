//! Why a plugin is not found or not loaded, in words that end with a way out. Knows nothing of runs.

use crate::catalog::Refused;
use crate::search::SearchFolder;
use std::fmt::Write;
use std::path::PathBuf;

/// Why a `type` stands for nothing, or for too much.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nothing has this name.
    #[error("{}", unknown(type_name, nearest, folders, refused))]
    Unknown {
        /// The `type` of the config.
        type_name: String,
        /// The known name that is most like it.
        nearest: Option<String>,
        /// The folders that were searched.
        folders: Vec<SearchFolder>,
        /// The files that were refused; first those that have the type.
        refused: Vec<Refused>,
    },
    /// More than one thing has this name.
    #[error("{}", ambiguous(type_name, *is_built_in, spellings))]
    Ambiguous {
        /// The name.
        type_name: String,
        /// Whether a built-in hook has it too.
        is_built_in: bool,
        /// The plugins that have it: how to write each, and its file.
        spellings: Vec<(String, PathBuf)>,
    },
}

fn unknown(
    type_name: &str,
    nearest: &Option<String>,
    folders: &[SearchFolder],
    refused: &[Refused],
) -> String {
    let mut text =
        format!("hook type '{type_name}': expected a built-in hook or a plugin's, found none");
    if let Some(nearest) = nearest {
        let _ = write!(text, " (did you mean '{nearest}'?)");
    }
    for folder in folders {
        let is_there = if folder.path.is_dir() { "" } else { ", not there" };
        let _ =
            write!(text, "\n  searched: {} ({}{is_there})", folder.path.display(), folder.origin);
    }
    for refused in refused {
        let _ = write!(text, "\n  refused: {}: {}", refused.path.display(), refused.reason);
    }
    text
}

fn ambiguous(type_name: &str, is_built_in: bool, spellings: &[(String, PathBuf)]) -> String {
    // Copies of one plugin share their spelling, so it would be as ambiguous.
    let is_copy =
        |spelling: &str| spellings.iter().filter(|(other, _)| other == spelling).count() > 1;
    let way_out = match spellings.iter().filter(|(spelling, _)| is_copy(spelling)).count() {
        0 => "write one of these as type, or remove a file",
        copies if copies == spellings.len() && !is_built_in => {
            "these files are one plugin several times: remove all but one of them"
        }
        _ => {
            "write one of these as type; of a plugin that is here several times, remove all files but one first"
        }
    };
    let mut text = format!("hook type '{type_name}': expected one, found several ({way_out})");
    if is_built_in {
        let prefix = crate::BUILT_IN_PREFIX;
        let _ = write!(text, "\n  '{prefix}:{type_name}', built in");
    }
    for (spelling, path) in spellings {
        let _ = write!(text, "\n  '{spelling}' from {}", path.display());
    }
    text
}

/// Why a plugin could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The manifest says that this host cannot load it.
    #[error("plugin {}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the way out.
        reason: String,
    },
    /// The file is another one than the one that was read.
    #[error("plugin {}: changed since its manifest was read (start again)", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// It was to be copied before it is opened.
    #[error("plugin {}: cannot be copied (make room in the cache, or unset SNAPHOOK_COPY_PLUGINS)", path.display())]
    Copy {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The dynamic loader refused it.
    #[error("plugin {}: cannot be opened: {problem} ({way_out})", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the author or the user can do.
        way_out: &'static str,
        /// The dynamic loader's words.
        problem: String,
    },
    /// It opened, and is not what its manifest says.
    #[error("plugin {}: {problem} (rebuild it with plugin-api {host})", path.display())]
    Incompatible {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
        /// The plugin-api of this host.
        host: crate::ApiVersion,
    },
}

impl LoadError {
    /// What to do about the dynamic loader's words.
    pub(crate) fn way_out(problem: &str) -> &'static str {
        match problem {
            _ if problem.contains("undefined symbol") => {
                "rebuild the plugin with the library that has this symbol"
            }
            _ if problem.contains("static TLS") => {
                "build the plugin's allocator without initial-exec TLS, as jemalloc's disable_initial_exec_tls, or set \
                 GLIBC_TUNABLES=glibc.rtld.optional_static_tls=4096"
            }
            _ if problem.contains("No such file") => "install the library that it names",
            _ => "rebuild it on this system",
        }
    }
}
