//! A file and its bases, read, evaluated and merged into one set of values.
//!
//! Source: `_file2dict` in MMEngine's `mmengine/config/config.py`.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::error::{ConfigError, Problem};
use crate::formats::{self, Format};
use crate::limits::{Limits, MAX_BASE_DEPTH, MAX_FILE_BYTES, MAX_FILES};
use crate::location::{At, Files, Lines};
use crate::merge::merge;
use crate::placeholders::{base_references, quote_base_references, substitute};
use crate::propagate::Later;
use crate::python::{self, Base, Module};
use crate::tree::{Data, Entries, Key, Node};
use crate::{packages, scope};

/// The key that names a file's bases.
const BASE: &str = "_base_";
const DEPRECATION: &str = "_deprecation_";

/// The state of loading one configuration.
pub(crate) struct Chain<'a> {
    pub(crate) setup: Setup<'a>,
    pub(crate) files: Files,
    pub(crate) limits: Limits,
    pub(crate) warnings: Vec<String>,
    /// What each file wrote itself, before it was merged; kept where someone will ask.
    pub(crate) own: HashMap<u32, Entries>,
    /// The values after each file, bases first; kept where someone will ask.
    pub(crate) layers: Vec<Layer>,
    /// Names of imported objects in the file that was loaded last.
    imports: Vec<(Arc<str>, Arc<str>)>,
    /// The files that are being loaded, outermost first, as the system knows them.
    open: Vec<(u32, PathBuf)>,
}

/// What a chain is given.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) search_paths: &'a [PathBuf],
    /// Folders that all files must be in; none for no such rule.
    pub(crate) roots: &'a [PathBuf],
    /// Overrides to come, for propagation.
    pub(crate) options: &'a [String],
    /// What each file wrote itself in an earlier pass: read by bases, so that changes propagate.
    pub(crate) later: Option<&'a HashMap<u32, Entries>>,
    /// The only name that propagates, or all do.
    pub(crate) only: Option<&'a str>,
    /// Keep `own` and `layers`.
    pub(crate) keeps_history: bool,
}

/// The values after one file.
pub(crate) struct Layer {
    pub(crate) bases: Vec<usize>,
    pub(crate) file: u32,
    pub(crate) values: Entries,
    /// Lines that removed something of the bases or changed a list of them in place, by dotted path.
    pub(crate) changes: HashMap<String, u32>,
}

/// A file's contents before it knows its base.
enum Body {
    Python(Vec<python::Statement>),
    /// With the placeholders of the base that stand in its text; an escaped one is mere text.
    Data(Entries, HashSet<String>),
}

impl<'a> Chain<'a> {
    pub(crate) fn new(setup: Setup<'a>) -> Self {
        let (files, limits) = (Files::new(), Limits::new());
        let (warnings, own, layers) = (Vec::new(), HashMap::new(), Vec::new());
        Self { setup, files, limits, warnings, own, layers, imports: Vec::new(), open: Vec::new() }
    }

    /// Loads a file with all its bases.
    pub(crate) fn load(&mut self, path: &Path) -> Result<Entries, ConfigError> {
        let format = format_of(path)?;
        // Where a file may be is known before it is opened.
        let file = self.files.add(path);
        self.enter(path, file)?;
        let text = read_text(path)?;
        self.load_entered((path, file), format, &text)
    }

    /// Loads a file whose text is there already; its bases are read from their files.
    pub(crate) fn load_text(
        &mut self,
        path: &Path,
        format: Option<Format>,
        text: &str,
    ) -> Result<Entries, ConfigError> {
        let file = self.files.add(path);
        self.enter(path, file)?;
        self.load_entered((path, file), format, text)
    }

    fn load_entered(
        &mut self,
        (path, file): (&Path, u32),
        format: Option<Format>,
        text: &str,
    ) -> Result<Entries, ConfigError> {
        let text = self.substitute(text, path, file)?;
        let paid = self.limits.parse(text.len());
        paid.map_err(|problem| self.fail(At { file, line: 1 }, problem))?;
        let (body, bases) = self.parse(&text, format, file)?;
        let (mut base, mut below) = (Entries::new(), Vec::new());
        let mut modules = VecDeque::new();
        for Base { line, name, is_module } in bases {
            let at = At { file, line };
            self.imports.clear();
            let values = match is_module {
                true => self.load_module(&name, path, at)?,
                false => self.load_base(&name, path, at)?,
            };
            below.extend(self.layers.len().checked_sub(1));
            if is_module {
                modules.push_back(Module { values, imports: std::mem::take(&mut self.imports) });
            } else {
                self.unite(&mut base, values)?;
            }
        }
        let (mut own, mut base, changes) = self.evaluate(body, file, (base, modules))?;
        if let Some(notice) = own.shift_remove(&Key::from(DEPRECATION)) {
            self.warnings.push(deprecation(path, &notice));
        }
        if self.setup.keeps_history {
            self.own.insert(file, own.clone());
        }
        merge(&mut base, own, &self.files).map_err(|(at, problem)| self.fail(at, problem))?;
        base.retain(|key, _| !key.as_str().is_some_and(|name| name.starts_with("__")));
        self.open.pop();
        if self.setup.keeps_history {
            self.keep_layer((file, changes), below, &base)?;
        }
        Ok(base)
    }

    /// Keeps a copy of the values after a file, and pays for it.
    fn keep_layer(
        &mut self,
        (file, changes): (u32, HashMap<String, u32>),
        bases: Vec<usize>,
        values: &Entries,
    ) -> Result<(), ConfigError> {
        let count = values.values().map(Node::count).sum();
        let paid = self.limits.elements(count);
        paid.map_err(|problem| self.fail(At { file, line: 1 }, problem))?;
        self.layers.push(Layer { bases, file, values: values.clone(), changes });
        Ok(())
    }

    pub(crate) fn fail(&self, at: At, problem: Problem) -> ConfigError {
        ConfigError::At { location: self.files.locate(at), problem: Box::new(problem) }
    }

    /// Notes that a file is being loaded; a base that is its own base would never end.
    fn enter(&mut self, path: &Path, file: u32) -> Result<(), ConfigError> {
        let at = At { file, line: 1 };
        let found = path.canonicalize();
        let is_there = found.is_ok();
        let known = found.unwrap_or_else(|_| path.to_path_buf());
        if let Some(first) = self.open.iter().position(|(_, open)| *open == known) {
            let mut chain: Vec<PathBuf> =
                self.open[first..].iter().map(|(_, open)| open.clone()).collect();
            chain.push(known);
            return Err(self.fail(at, Problem::Cycle { chain }));
        }
        if is_there && !self.setup.roots.is_empty() && !is_below(&known, self.setup.roots) {
            let roots = self.setup.roots.to_vec();
            return Err(self.fail(at, Problem::OutsideRoots { path: known, roots }));
        }
        self.open.push((file, known));
        let limit = |what, limit: usize| Problem::Limit { what, limit: limit as u64 };
        if self.open.len() > MAX_BASE_DEPTH {
            return Err(self.fail(at, limit("depth of bases", MAX_BASE_DEPTH)));
        }
        if self.files.paths().len() > MAX_FILES {
            return Err(self.fail(at, limit("number of files", MAX_FILES)));
        }
        Ok(())
    }

    fn substitute(&self, text: &str, path: &Path, file: u32) -> Result<String, ConfigError> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        substitute(text, &normal(&absolute)).map_err(|(offset, problem)| {
            self.fail(At { file, line: Lines::new(text).line(offset) }, problem)
        })
    }

    fn parse(
        &mut self,
        text: &str,
        format: Option<Format>,
        file: u32,
    ) -> Result<(Body, Vec<Base>), ConfigError> {
        let parsed = match format {
            None => python::parse(text).and_then(|statements| {
                let bases = python::base_names(&statements, &mut self.limits)?;
                Ok((Body::Python(statements), bases))
            }),
            Some(format) => {
                let placeholders = base_references(text).into_iter();
                let written = placeholders.map(|found| text[found.range].to_owned()).collect();
                let text = quote_base_references(text);
                formats::read(format, &text, file, &mut self.limits).and_then(|mut entries| {
                    let bases = match entries.shift_remove(&Key::from(BASE)) {
                        Some(node) => base_names(&node)?
                            .into_iter()
                            .map(|(line, name)| Base { line, name, is_module: false })
                            .collect(),
                        None => Vec::new(),
                    };
                    Ok((Body::Data(entries, written), bases))
                })
            }
        };
        parsed.map_err(|(line, problem)| self.fail(At { file, line }, problem))
    }

    fn load_base(&mut self, name: &str, from: &Path, at: At) -> Result<Entries, ConfigError> {
        if let Some((package, relative)) = name.split_once("::") {
            let path = packages::find(package, relative, self.setup.search_paths)
                .map_err(|problem| self.fail(at, problem))?;
            let mut entries = self.load(&path)?;
            scope::mark(&mut entries, package);
            return Ok(entries);
        }
        let relative = match name.strip_prefix("~/").zip(std::env::home_dir()) {
            Some((rest, home)) => home.join(rest),
            None => PathBuf::from(name),
        };
        let path = normal(&from.parent().unwrap_or(Path::new("")).join(relative));
        match path.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let nearest = packages::nearest_file(&path);
                return Err(self.fail(at, Problem::BaseMissing { path, nearest }));
            }
            Err(error) => {
                let message = format!("base {}: it cannot be read: {error}", path.display());
                return Err(self.fail(at, Problem::Value(message)));
            }
            Ok(_) => {}
        }
        self.load(&path)
    }

    /// Loads a base of the lazy style: `.a.b` is `a/b.py` beside the file, `pkg.a.b` is in a package.
    fn load_module(&mut self, module: &str, from: &Path, at: At) -> Result<Entries, ConfigError> {
        let name = module.trim_start_matches('.');
        let level = module.len() - name.len();
        if level == 0 {
            let path = packages::find_module(name, self.setup.search_paths)
                .map_err(|problem| self.fail(at, problem))?;
            return self.load(&path);
        }
        let path = format!("{}{}.py", "../".repeat(level - 1), name.replace('.', "/"));
        self.load_base(&path, from, at)
    }

    /// Adds a sibling base; no key may come from two of them.
    fn unite(&self, base: &mut Entries, added: Entries) -> Result<(), ConfigError> {
        for (key, node) in added {
            if let Some(first) = base.get(&key) {
                let other = self.files.locate(first.at);
                let problem = Problem::DuplicateKey { key: key.to_string(), other };
                return Err(self.fail(node.at, problem));
            }
            base.insert(key, node);
        }
        Ok(())
    }

    /// What the files that inherit from this one, and the overrides, will change.
    fn later<'b>(&self, own: &'b HashMap<u32, Entries>, file: u32) -> Later<'b>
    where
        'a: 'b,
    {
        let heirs = self.open.iter().rev().map(|(heir, _)| *heir).filter(|heir| *heir != file);
        let heirs = heirs.filter_map(|heir| Some((heir, own.get(&heir)?))).collect();
        Later { heirs, options: self.setup.options, only: self.setup.only }
    }

    /// The file's own values, its base with what the file did to it, and lines that did so unseen.
    fn evaluate(
        &mut self,
        body: Body,
        file: u32,
        (base, modules): (Entries, VecDeque<Module>),
    ) -> Result<(Entries, Entries, HashMap<String, u32>), ConfigError> {
        let later = self.setup.later.map(|own| self.later(own, file));
        let result = match body {
            Body::Python(statements) => {
                let input = python::Input { file, base, modules, later: later.as_ref() };
                python::evaluate(&statements, input, &mut self.limits).map(|evaluated| {
                    let warnings = evaluated.warnings.into_iter();
                    let files = &self.files;
                    self.warnings.extend(warnings.map(|(line, warning)| {
                        format!("{}: {warning}", files.locate(At { file, line }))
                    }));
                    self.imports = evaluated.imports;
                    (evaluated.own, evaluated.base, evaluated.changes)
                })
            }
            Body::Data(mut own, written) => {
                let mut seen = base.clone();
                if let Some(later) = &later {
                    let names =
                        seen.iter_mut().filter_map(|(key, node)| Some((key.as_str()?, node)));
                    names.for_each(|(name, node)| later.apply(name, node));
                }
                let seen = Node::new(At { file, line: 1 }, Data::Dict(seen));
                let limits = &mut self.limits;
                own.values_mut()
                    .try_for_each(|node| formats::fill_placeholders(node, &seen, &written, limits))
                    .map(|()| (own, base, HashMap::new()))
            }
        };
        result.map_err(|(line, problem)| self.fail(At { file, line }, problem))
    }
}

/// Tells whether a path, as the system knows it, is in one of some folders.
fn is_below(known: &Path, roots: &[PathBuf]) -> bool {
    roots.iter().any(|root| root.canonicalize().is_ok_and(|root| known.starts_with(root)))
}

/// Which reader a file needs; none for Python syntax.
pub(crate) fn format_of(path: &Path) -> Result<Option<Format>, ConfigError> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("py") => Ok(None),
        Some("json") => Ok(Some(Format::Json)),
        Some("yaml" | "yml") => Ok(Some(Format::Yaml)),
        Some("toml") => Ok(Some(Format::Toml)),
        found => {
            let found = found.map_or("no extension".to_owned(), |found| format!(".{found}"));
            let message =
                format!("expected a .py, .json, .yaml, .yml or .toml file, found {found}");
            Err(file_error(path, Problem::Value(message)))
        }
    }
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_path_buf(), source };
    let metadata = path.metadata().map_err(failed)?;
    if !metadata.is_file() {
        let message = "expected a regular file, found a folder or a device".to_owned();
        return Err(file_error(path, Problem::Value(message)));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let problem = Problem::Limit { what: "size of a file in bytes", limit: MAX_FILE_BYTES };
        return Err(file_error(path, problem));
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        file_error(path, Problem::Value("expected text in UTF-8, found other bytes".to_owned()))
    })?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}

fn file_error(path: &Path, problem: Problem) -> ConfigError {
    ConfigError::File { path: path.to_path_buf(), problem: Box::new(problem) }
}

/// The bases that JSON, YAML or TOML name.
fn base_names(node: &Node) -> Result<Vec<(u32, String)>, (u32, Problem)> {
    let nodes = match &node.data {
        Data::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let name = |node: &Node| match &node.data {
        Data::Str(name) => Ok((node.at.line, name.to_string())),
        other => {
            let found = other.type_name();
            let message = format!("`_base_`: expected a path or a list of paths, found {found}");
            Err((node.at.line, Problem::Value(message)))
        }
    };
    nodes.iter().map(name).collect()
}

fn deprecation(path: &Path, notice: &Node) -> String {
    let mut warning = format!("{} is deprecated", path.display());
    for (key, words) in [("expected", "use"), ("reference", "see")] {
        if let Some(Node { data: Data::Str(text), .. }) = notice.find(key) {
            warning += &format!(", {words} {text}");
        }
    }
    warning
}

/// A path without `.` and `..`, by its text alone.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(result.components().next_back(), Some(Component::Normal(_))) =>
            {
                result.pop();
            }
            part => result.push(part),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use crate::testing::Folder;
    use serde_json::json;

    #[test]
    fn formats_mix_in_one_chain() {
        let folder = Folder::new(&[
            ("sub/a.py", "_base_ = ['../b.yaml', './c.toml']\nz = _base_.y + _base_.x"),
            ("b.yaml", "_base_: d.json\nx: 2"),
            ("sub/c.toml", "y = 3"),
            ("d.json", "{\"x\": 1, \"w\": 0}"),
        ]);
        let config = folder.load("sub/a.py").unwrap();
        assert_eq!(*config.value(), json!({"x": 2, "w": 0, "y": 3, "z": 5}));
        assert_eq!(config.files().len(), 4);
        assert_eq!(config.stem(), "a");
    }

    #[test]
    fn one_key_in_two_siblings_is_an_error_that_names_both() {
        let folder = Folder::new(&[
            ("a.py", "_base_ = ['b.py', 'c.py']"),
            ("b.py", "x = 1\ny = 2"),
            ("c.py", "\ny = 2"),
        ]);
        let message = folder.error("a.py");
        let words =
            "c.py, line 2: key `y` is defined by two bases of one file, here and at b.py, line 2";
        assert!(message.starts_with(words), "{message}");
    }

    #[test]
    fn cycles_end() {
        let folder = Folder::new(&[("a.py", "_base_ = 'b.py'"), ("b.py", "_base_ = 'a.py'")]);
        let message = folder.error("a.py");
        assert!(
            message.contains("bases form a cycle") && message.contains("b.py -> "),
            "{message}"
        );
    }

    #[test]
    fn endless_chains_end() {
        let texts: Vec<(String, String)> =
            (0..40).map(|i| (format!("b{i}.py"), format!("_base_ = 'b{}.py'", i + 1))).collect();
        let files: Vec<(&str, &str)> = texts.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert!(Folder::new(&files).error("b0.py").contains("depth of bases: expected at most 32"));
    }

    #[test]
    fn a_missing_base_shows_what_is_there() {
        let folder = Folder::new(&[("a.py", "x = 1\n_base_ = ['yolo_s.py']"), ("yolox_s.py", "")]);
        let message = folder.error("a.py");
        let words = "a.py, line 2: base yolo_s.py: expected a config file, found nothing (did you mean `yolox_s.py`?)";
        assert_eq!(message, words);
    }

    #[test]
    fn files_that_are_no_configs_are_refused() {
        let folder = Folder::new(&[("a.txt", ""), ("b.py/x", ""), ("c.py", "")]);
        std::fs::write(folder.path().join("c.py"), [0xff, 0xfe]).unwrap();
        std::fs::write(folder.path().join("big.py"), vec![b' '; 3 << 20]).unwrap();
        for (name, words) in [
            ("a.txt", "expected a .py, .json, .yaml, .yml or .toml file, found .txt"),
            ("b.py", "expected a regular file"),
            ("c.py", "expected text in UTF-8"),
            ("none.py", "none.py: expected a config file, found none that can be read"),
            ("big.py", "size of a file in bytes: expected at most"),
        ] {
            let message = folder.error(name);
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn predefined_names_are_each_files_own() {
        let folder = Folder::new(&[
            ("sub/a.py", "_base_ = '../b.py'\nx = '{{ fileBasenameNoExtension }}'"),
            ("b.py", "y = '{{fileBasename}}'\nz = '{{ fileDirname }}'"),
        ]);
        let found = folder.load("sub/a.py").unwrap().value().clone();
        let dirname = folder.path().display().to_string();
        assert_eq!(found, json!({"y": "b.py", "z": dirname, "x": "a"}));
    }

    #[test]
    fn deprecated_files_warn() {
        let text = "_deprecation_ = dict(expected='b.py', reference='notes')\nx = 1";
        let folder = Folder::new(&[("a.py", text)]);
        let config = folder.load("a.py").unwrap();
        assert_eq!(*config.value(), json!({"x": 1}));
        assert!(config.warnings()[0].ends_with("a.py is deprecated, use b.py, see notes"));
    }
}
