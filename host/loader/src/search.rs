//! The folders where plugins are looked for, in order, each with the reason why. Knows nothing of files in
//! them.

use crate::lock::PluginLock;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why a folder is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `--plugins DIR`.
    CommandLine,
    /// `SNAPHOOK_PLUGIN_PATH`.
    Environment,
    /// `plugin_dirs` of the config.
    Config,
    /// `plugins/` beside the config.
    BesideConfig,
    /// The user's data folder.
    UserData,
    /// `../lib/snaphook/plugins` beside the program.
    BesideProgram,
    /// The `target` folder that the program was built into.
    DevelopmentBuild,
}

impl Origin {
    /// Whether somebody named the folder, so that it should be there.
    pub fn is_explicit(&self) -> bool {
        matches!(self, Origin::CommandLine | Origin::Environment | Origin::Config)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Origin::CommandLine => "--plugins",
            Origin::Environment => "SNAPHOOK_PLUGIN_PATH",
            Origin::Config => "plugin_dirs in the config",
            Origin::BesideConfig => "beside the config",
            Origin::UserData => "user data",
            Origin::BesideProgram => "beside the program",
            Origin::DevelopmentBuild => "development build",
        })
    }
}

/// A folder where plugins are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchFolder {
    /// The folder; it need not exist.
    pub path: PathBuf,
    /// Why it is searched.
    pub origin: Origin,
}

/// The folders, first match first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchPath {
    folders: Vec<SearchFolder>,
    is_strict: bool,
    lock: Option<PluginLock>,
    failures: Option<PathBuf>,
    copies: Option<PathBuf>,
}

impl SearchPath {
    /// Begins with this process's environment and program.
    pub fn builder() -> SearchPathBuilder {
        SearchPathBuilder {
            command_line: Vec::new(),
            config: None,
            variables: Box::new(|name| std::env::var_os(name)),
            program: std::env::current_exe().ok(),
            is_strict: false,
            lock: None,
        }
    }

    /// Whether files that somebody else could have changed are refused.
    pub fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// The plugins that may be loaded; without it, all.
    pub fn lock(&self) -> Option<&PluginLock> {
        self.lock.as_ref()
    }

    /// Where it is remembered which plugins crashed or hung when they were checked: in the user's cache.
    pub fn failures(&self) -> Option<&Path> {
        self.failures.as_deref()
    }

    /// Where plugins are copied to before they are opened, when `SNAPHOOK_COPY_PLUGINS=1` asks for it.
    pub fn copies(&self) -> Option<&Path> {
        self.copies.as_deref()
    }

    /// The folders in order.
    pub fn folders(&self) -> &[SearchFolder] {
        &self.folders
    }
}

type ReadVariable = Box<dyn Fn(&str) -> Option<OsString>>;

/// Collects what decides the folders.
pub struct SearchPathBuilder {
    command_line: Vec<PathBuf>,
    config: Option<(PathBuf, Vec<PathBuf>)>,
    variables: ReadVariable,
    program: Option<PathBuf>,
    is_strict: bool,
    lock: Option<PluginLock>,
}

impl SearchPathBuilder {
    /// Folders of `--plugins`, in the order given.
    pub fn command_line(mut self, folders: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.command_line.extend(folders.into_iter().map(Into::into));
        self
    }

    /// The config file and its `plugin_dirs`, relative to it.
    pub fn config(
        mut self,
        file: impl Into<PathBuf>,
        plugin_dirs: impl IntoIterator<Item = impl Into<PathBuf>>,
    ) -> Self {
        self.config = Some((file.into(), plugin_dirs.into_iter().map(Into::into).collect()));
        self
    }

    /// Reads environment variables with this function.
    pub fn variables(mut self, read: impl Fn(&str) -> Option<OsString> + 'static) -> Self {
        self.variables = Box::new(read);
        self
    }

    /// Refuses files that others may write or that belong to neither this user nor root, also without
    /// `SNAPHOOK_STRICT_PLUGINS=1`.
    pub fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// Refuses plugins that are not in this lock file.
    pub fn locked(mut self, lock: PluginLock) -> Self {
        self.lock = Some(lock);
        self
    }

    /// The program that runs.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Looks at no environment variable and at no folder near the program.
    pub fn without_environment(mut self) -> Self {
        self.variables = Box::new(|_| None);
        self.program = None;
        self
    }

    /// The folders; one that comes twice keeps its first place.
    pub fn build(self) -> SearchPath {
        let cache = self.user_folder("XDG_CACHE_HOME", ".cache");
        let mut search_path = SearchPath {
            folders: Vec::new(),
            is_strict: self.is_strict || self.is_on("SNAPHOOK_STRICT_PLUGINS"),
            lock: self.lock.clone(),
            failures: cache.as_ref().map(|cache| cache.join("plugin-failures")),
            copies: cache
                .filter(|_| self.is_on("SNAPHOOK_COPY_PLUGINS"))
                .map(|cache| cache.join("plugin-copies")),
        };
        let mut add = |path: PathBuf, origin: Origin| {
            if !search_path.folders.iter().any(|folder| folder.path == path) {
                search_path.folders.push(SearchFolder { path, origin });
            }
        };
        for path in &self.command_line {
            add(path.clone(), Origin::CommandLine);
        }
        let listed = (self.variables)("SNAPHOOK_PLUGIN_PATH").unwrap_or_default();
        for path in std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()) {
            add(path, Origin::Environment);
        }
        if let Some((file, plugin_dirs)) = &self.config {
            let beside = file.parent().unwrap_or(Path::new(""));
            for path in plugin_dirs {
                add(beside.join(path), Origin::Config);
            }
            add(beside.join("plugins"), Origin::BesideConfig);
        }
        if let Some(data) = self.user_folder("XDG_DATA_HOME", ".local/share") {
            add(data.join("plugins"), Origin::UserData);
        }
        let folder = self.program.as_deref().and_then(Path::parent);
        if let Some(folder) = folder {
            add(folder.join("../lib/snaphook/plugins"), Origin::BesideProgram);
            if let Some(path) = development_folder(folder) {
                add(path, Origin::DevelopmentBuild);
            }
        }
        search_path
    }

    fn is_on(&self, name: &str) -> bool {
        (self.variables)(name).is_some_and(|value| !value.is_empty() && value != "0")
    }

    /// Snaphook's folder in one of the user's folders: a variable of the XDG base directories, or its place at home.
    fn user_folder(&self, variable: &str, at_home: &str) -> Option<PathBuf> {
        let given =
            |name| (self.variables)(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = given(variable).filter(|path| path.is_absolute());
        let folder = folder.or_else(|| given("HOME").map(|home| home.join(at_home)))?;
        Some(folder.join("snaphook"))
    }
}

/// Where Cargo put the plugins that were built with the program: the profile's folder, also for a test
/// program one or two folders deeper. Cargo marks such folders with `.fingerprint`.
fn development_folder(folder: &Path) -> Option<PathBuf> {
    let candidates = folder.ancestors().take(2);
    let mut built = candidates.filter(|path| path.join(".fingerprint").is_dir());
    built.next().map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::{Origin, SearchPath};
    use std::ffi::OsString;
    use std::path::PathBuf;

    #[test]
    fn folders_come_in_the_documented_order() {
        let target = tempfile::tempdir().unwrap();
        let debug = target.path().join("debug");
        std::fs::create_dir_all(debug.join(".fingerprint")).unwrap();
        let search_path = SearchPath::builder()
            .command_line(["one", "two"])
            .config("configs/yolox.py", ["extra"])
            .variables(|name| match name {
                "SNAPHOOK_PLUGIN_PATH" => Some(OsString::from("/env/a::/env/b:one")),
                "HOME" => Some(OsString::from("/home/me")),
                _ => None,
            })
            .program(debug.join("snaphook"))
            .build();
        let found: Vec<_> =
            search_path.folders().iter().map(|f| (f.path.clone(), f.origin.clone())).collect();
        let expected = [
            (PathBuf::from("one"), Origin::CommandLine),
            ("two".into(), Origin::CommandLine),
            ("/env/a".into(), Origin::Environment),
            ("/env/b".into(), Origin::Environment),
            ("configs/extra".into(), Origin::Config),
            ("configs/plugins".into(), Origin::BesideConfig),
            ("/home/me/.local/share/snaphook/plugins".into(), Origin::UserData),
            (debug.join("../lib/snaphook/plugins"), Origin::BesideProgram),
            (debug, Origin::DevelopmentBuild),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn cache_is_the_user_s_and_copies_are_made_only_when_asked_for() {
        let with = |copy: &'static str| {
            let variables = move |name: &str| match name {
                "XDG_CACHE_HOME" => Some(OsString::from("/cache")),
                "SNAPHOOK_COPY_PLUGINS" => Some(copy.into()),
                _ => None,
            };
            SearchPath::builder().without_environment().variables(variables).build()
        };
        let cache = PathBuf::from("/cache/snaphook");
        assert_eq!(with("0").failures(), Some(cache.join("plugin-failures").as_path()));
        assert_eq!(with("0").copies(), None);
        assert_eq!(with("1").copies(), Some(cache.join("plugin-copies").as_path()));
    }

    #[test]
    fn installed_program_has_no_development_folder() {
        let search_path = SearchPath::builder().without_environment().program("/usr/bin/snaphook");
        let search_path = search_path.build();
        assert_eq!(search_path.folders().len(), 1);
        assert_eq!(search_path.folders()[0].origin, Origin::BesideProgram);
    }
}
