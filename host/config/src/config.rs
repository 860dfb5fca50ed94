//! A resolved configuration: its values, where each came from, and its written forms.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{ConfigError, Problem};
use crate::location::{At, Files, Location};
use crate::python;
use crate::resolver::Resolver;
use crate::tree::{Data, Entries, Node};
use crate::write;

/// Top-level keys that MMEngine's `Config` keeps for itself.
const RESERVED: &[&str] = &["filename", "text", "pretty_text", "env_variables"];

/// What to load besides the file.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Overrides as of `--cfg-options`: `model.backbone.depth=50`, `train_pipeline.0.to_float32=True`.
    /// Later ones win.
    pub overrides: Vec<String>,
    /// Folders that hold packages for `pkg::path` bases, as of `--config-path`; looked into first.
    pub search_paths: Vec<PathBuf>,
}

/// A configuration, resolved: no bases, names or placeholders are left.
///
/// As JSON, dicts keep the order of their keys, ints and floats stay apart, tuples are arrays, and
/// the floats that JSON does not have are the strings `"inf"`, `"-inf"` and `"nan"`.
#[derive(Clone, Debug)]
pub struct Config {
    path: PathBuf,
    root: Node,
    json: Value,
    files: Files,
    warnings: Vec<String>,
}

/// Loads a `.py`, `.json`, `.yaml`, `.yml` or `.toml` configuration with all its bases.
///
/// Errors: a file that is missing, too large or not text; syntax errors and everything that is not
/// part of the language; values that do not merge; overrides that do not fit. Each with its place.
///
/// Source: `Config.fromfile` in MMEngine's `mmengine/config/config.py`, without running anything.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Config, ConfigError> {
    Resolver::new(options.clone()).load(path)
}

/// Top-level keys are names that are free to use.
pub(crate) fn check_names(entries: &Entries) -> Result<(), (At, Problem)> {
    for (key, node) in entries {
        let name = key.as_str().unwrap_or_default();
        if RESERVED.contains(&name) {
            return Err((node.at, Problem::Reserved(name.to_owned())));
        }
        if !python::is_name(name) {
            let message = format!("top-level key `{key}`: expected a name, as Python has them");
            return Err((node.at, Problem::Value(message)));
        }
    }
    Ok(())
}

impl Config {
    pub(crate) fn new(path: &Path, root: Node, files: Files, warnings: Vec<String>) -> Self {
        let json = root.data.to_json();
        Self { path: path.to_path_buf(), root, json, files, warnings }
    }

    /// The resolved values, a JSON object.
    pub fn value(&self) -> &Value {
        &self.json
    }

    /// The file that was loaded, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's name without its extension, which names the work folder.
    pub fn stem(&self) -> &str {
        self.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("config")
    }

    /// The value at a dotted path such as `train_cfg.max_epochs` or `train_pipeline.0.type`.
    pub fn get(&self, key_path: &str) -> Option<&Value> {
        key_path.split('.').try_fold(&self.json, |value, step| match value {
            Value::Object(entries) => entries.get(step),
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The file and line that wrote the value at a dotted path last.
    ///
    /// For a dict that several files share, that is the file that changed it last.
    pub fn location(&self, key_path: &str) -> Option<Location> {
        self.root.find(key_path).map(|node| self.files.locate(node.at))
    }

    /// All files that took part, the loaded one first, bases in the order in which they were opened.
    pub fn files(&self) -> &[PathBuf] {
        self.files.paths()
    }

    /// What looks wrong but does not prevent loading: overrides of unknown keys, deprecated files.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The resolved values as indented JSON.
    pub fn to_json_pretty(&self) -> String {
        // Double braces stand in strings only; escaped, nothing is substituted where this is loaded.
        format!("{:#}", self.json).replace("{{", "\\u007b{")
    }

    /// The resolved values as YAML that loads to the same values again; tuples become lists.
    pub fn to_yaml(&self) -> String {
        match &self.root.data {
            Data::Dict(entries) => write::to_yaml(entries),
            _ => String::new(),
        }
    }

    /// The resolved values as TOML that loads to the same values again: tuples become lists, keys
    /// become strings, and None, which TOML lacks, becomes the string `{{None}}`, which is read back
    /// as None. Single values come before dicts at the top; below, the order of keys is kept.
    pub fn to_toml(&self) -> String {
        match &self.root.data {
            Data::Dict(entries) => write::to_toml(entries),
            _ => String::new(),
        }
    }

    pub(crate) fn root(&self) -> &Node {
        &self.root
    }

    pub(crate) fn locate(&self, node: &Node) -> Location {
        self.files.locate(node.at)
    }

    /// The resolved values as a Python-syntax config that loads to the same values again.
    ///
    /// Source: `Config.pretty_text` of MMEngine, which sorts keys; here they keep their order.
    pub fn to_python(&self) -> String {
        match &self.root.data {
            Data::Dict(entries) => python::to_python(entries),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Folder;
    use serde_json::json;

    fn folder() -> Folder {
        let base = "model = dict(\n    type='X',\n    depth=50)\npipe = [\n    dict(type='A'),\n    dict(type='B')]\nn = 1\nt = (1, 2)";
        let child = "_base_ = 'base.py'\nmodel = dict(\n    depth=18)\nq = dict(p=_base_.pipe)";
        Folder::new(&[("base.py", base), ("a.py", child)])
    }

    #[test]
    fn every_value_knows_the_file_and_line_that_wrote_it_last() {
        let config = folder().load_with("a.py", &["n=2", "pipe.1.type=C"]).unwrap();
        let place = |path: &str| {
            let location = config.location(path).unwrap();
            (location.file.file_name().unwrap().to_str().unwrap().to_owned(), location.line)
        };
        let of = |file: &str, line: u32| (file.to_owned(), line);
        assert_eq!(place("model.type"), of("base.py", 2));
        assert_eq!(place("model.depth"), of("a.py", 3));
        assert_eq!(place("model"), of("a.py", 2));
        assert_eq!(place("pipe.0"), of("base.py", 5));
        assert_eq!(place("n"), of("--cfg-options", 1));
        assert_eq!(place("pipe.1.type"), of("--cfg-options", 2));
        assert_eq!(place("q.p"), of("a.py", 4));
        assert_eq!(place("q.p.1.type"), of("base.py", 6));
        assert_eq!(config.location("model.none"), None);
    }

    #[test]
    fn values_are_found_by_path() {
        let config = folder().load("a.py").unwrap();
        assert_eq!(config.get("pipe.1.type"), Some(&json!("B")));
        assert_eq!(config.get("t.0"), Some(&json!(1)));
        assert_eq!(config.get("t.x"), None);
        assert_eq!(config.get("n.x"), None);
    }

    #[test]
    fn overrides_reach_dicts_lists_and_new_keys() {
        let options =
            ["model.depth=101", "pipe.0.size=(1,2)", "work_dir='a b'", "pipe.-1=None", "t.0=5"];
        let config = folder().load_with("a.py", &options).unwrap();
        assert_eq!(config.get("t"), Some(&json!([5, 2])));
        assert_eq!(config.get("model.depth"), Some(&json!(101)));
        assert_eq!(config.get("pipe"), Some(&json!([{"type": "A", "size": [1, 2]}, null])));
        assert_eq!(config.get("work_dir"), Some(&json!("a b")));
        // A run without a work folder in its config is a usual thing.
        assert_eq!(config.warnings().len(), 1, "{:?}", config.warnings());
    }

    #[test]
    fn lists_are_appended_to_and_extended() {
        let options = [
            "pipe+=dict(type='C')",
            "pipe+=[dict(type='D'),3]",
            "t+=3",
            "custom_hooks+=dict(type='E')",
        ];
        let config = folder().load_with("a.py", &options).unwrap();
        let pipe = json!([{"type": "A"}, {"type": "B"}, {"type": "C"}, {"type": "D"}, 3]);
        assert_eq!(config.get("pipe"), Some(&pipe));
        assert_eq!(config.get("t"), Some(&json!([1, 2, 3])));
        assert_eq!(config.get("custom_hooks"), Some(&json!([{"type": "E"}])));
        assert_eq!(config.location("pipe.2.type").unwrap().line, 1);
    }

    #[test]
    fn later_overrides_win_and_delete_makes_room() {
        let options = ["n=2", "n=3", "model.type=Z", "model._delete_=True"];
        let config = folder().load_with("a.py", &options).unwrap();
        assert_eq!(config.get("n"), Some(&json!(3)));
        assert_eq!(config.get("model"), Some(&json!({"type": "Z"})));
    }

    #[test]
    fn overrides_of_unknown_keys_warn() {
        let config = folder().load_with("a.py", &["model.dept=18", "optim.lr=0.1"]).unwrap();
        assert_eq!(config.get("optim.lr"), Some(&json!(0.1)));
        assert_eq!(
            config.warnings(),
            [
                "--cfg-options model.dept=18: model has no key `dept`; it was added (did you mean `depth`?)",
                "--cfg-options optim.lr=0.1: the config has no key `optim`; it was added",
            ]
        );
    }

    #[test]
    fn overrides_that_do_not_fit_are_errors() {
        for (option, words) in [
            ("model", "expected `key.path=VALUE`, found no `=`"),
            ("a..b=1", "found an empty key"),
            ("pipe.2.type=A", "pipe: expected an index from 0 to 1 or -2 to -1, found `2`"),
            ("pipe.-3.type=A", "found `-3`"),
            ("n.x=1", "`x` below n: expected a dict or list, found an int"),
            ("n=[1,2", "do not balance in `[1,2`"),
            ("n+=1", "`+=` on n: expected a list, found an int"),
            ("filename=x", "key `filename` is reserved"),
        ] {
            let message = folder().load_with("a.py", &[option]).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn a_config_crosses_threads() {
        fn crosses<T: Send + Sync + 'static>() {}
        crosses::<super::Config>();
        crosses::<super::ConfigError>();
    }
}
