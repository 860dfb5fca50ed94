//! Loads configurations under rules: where files may be, and whether changes propagate.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::chain::{Chain, Layer, Setup, format_of};
use crate::config::{Config, LoadOptions, check_names};
use crate::error::ConfigError;
use crate::limits::Limits;
use crate::location::{At, Files};
use crate::overrides;
use crate::tree::{Data, Entries, Key, Node};

/// A top-level key with which a config asks for propagation itself.
const PROPAGATE: &str = "_propagate_";
/// Most passes until propagated values settle.
const MAX_PASSES: usize = 4;

/// Loads configurations under rules.
///
/// ```
/// use snaphook_config::{LoadOptions, Resolver};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("base.py"), "root = 'a/'\ndata = dict(file=root + 'x.json')")?;
/// let path = folder.path().join("tiny.py");
/// std::fs::write(&path, "_base_ = 'base.py'\nroot = 'b/'")?;
///
/// let resolver = Resolver::new(LoadOptions::default()).roots(vec![folder.path().to_path_buf()]);
/// let file = |config: &snaphook_config::Config| config.get("data.file").unwrap().clone();
/// assert_eq!(file(&resolver.load(&path)?), "a/x.json");
/// assert_eq!(file(&resolver.propagate(true).load(&path)?), "b/x.json");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Resolver {
    options: LoadOptions,
    roots: Vec<PathBuf>,
    propagates: bool,
}

/// One way through all files.
pub(crate) struct Pass {
    pub(crate) root: Node,
    pub(crate) files: Files,
    pub(crate) own: HashMap<u32, Entries>,
    pub(crate) layers: Vec<Layer>,
    warnings: Vec<String>,
}

/// What a pass keeps and what it propagates.
#[derive(Clone, Copy, Default)]
pub(crate) struct PassOptions<'a> {
    pub(crate) later: Option<&'a HashMap<u32, Entries>>,
    pub(crate) only: Option<&'a str>,
    pub(crate) keeps_history: bool,
    /// What the pass may cost, and then what it left of it; its own full limits where there are none.
    pub(crate) budget: Option<&'a Cell<Limits>>,
}

impl Resolver {
    /// A resolver with overrides and search paths, and no further rules.
    pub fn new(options: LoadOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Allows files in these folders only, links followed; without folders, everywhere.
    pub fn roots(mut self, folders: Vec<PathBuf>) -> Self {
        self.roots = folders;
        self
    }

    /// Makes a changed variable reach what bases built from it.
    ///
    /// With MMEngine, and by default here, overriding `data_root` or `train_pipeline` leaves alone what
    /// a base has already built from it. A config can ask for it itself with `_propagate_ = True`.
    pub fn propagate(mut self, propagates: bool) -> Self {
        self.propagates = propagates;
        self
    }

    /// Loads a configuration, as [`load`](crate::load) does.
    pub fn load(&self, path: &Path) -> Result<Config, ConfigError> {
        self.finish(path, None)
    }

    /// Resolves a text as if it were the file of that name; bases are read from their files.
    pub fn load_text(&self, path: &Path, text: &str) -> Result<Config, ConfigError> {
        self.finish(path, Some(text))
    }

    fn finish(&self, path: &Path, text: Option<&str>) -> Result<Config, ConfigError> {
        let mut pass = self.pass(path, text, PassOptions::default())?;
        let asked = take_request(&mut pass.root);
        if self.propagates || asked {
            pass = self.propagated(path, text)?.1;
        }
        let Pass { root, files, warnings, .. } = pass;
        Ok(Config::new(path, root, files, warnings))
    }

    /// Whether changes reach what bases built, by this resolver's rule or the config's own.
    pub(crate) fn is_propagating(&self, path: &Path) -> Result<bool, ConfigError> {
        if self.propagates {
            return Ok(true);
        }
        let mut plain = self.pass(path, None, PassOptions::default())?;
        Ok(take_request(&mut plain.root))
    }

    /// Loads twice or more, until propagated values settle; the plain pass and the last one.
    pub(crate) fn propagated(
        &self,
        path: &Path,
        text: Option<&str>,
    ) -> Result<(Pass, Pass), ConfigError> {
        let options = PassOptions { keeps_history: true, ..Default::default() };
        let mut plain = self.pass(path, text, options)?;
        take_request(&mut plain.root);
        let last = self.settled(path, text, &plain, options)?;
        Ok((plain, last))
    }

    /// Loads after a plain pass until propagated values settle.
    pub(crate) fn settled(
        &self,
        path: &Path,
        text: Option<&str>,
        plain: &Pass,
        options: PassOptions,
    ) -> Result<Pass, ConfigError> {
        let mut own = plain.own.clone();
        let mut last = self.pass(path, text, PassOptions { later: Some(&own), ..options })?;
        for _ in 2..MAX_PASSES {
            if is_settled(&own, &last.own) {
                break;
            }
            own = last.own;
            last = self.pass(path, text, PassOptions { later: Some(&own), ..options })?;
        }
        take_request(&mut last.root);
        Ok(last)
    }

    pub(crate) fn pass(
        &self,
        path: &Path,
        text: Option<&str>,
        PassOptions { later, only, keeps_history, budget }: PassOptions,
    ) -> Result<Pass, ConfigError> {
        let LoadOptions { overrides: options, search_paths } = &self.options;
        let mut chain = Chain::new(Setup {
            search_paths,
            roots: &self.roots,
            options,
            later,
            only,
            keeps_history,
        });
        if let Some(budget) = budget {
            chain.limits = budget.get();
        }
        let loaded = match text {
            Some(text) => format_of(path).and_then(|format| chain.load_text(path, format, text)),
            None => chain.load(path),
        };
        if let Some(budget) = budget {
            budget.set(chain.limits);
        }
        let mut root = Node::new(At { file: 1, line: 1 }, Data::Dict(loaded?));
        let warnings = overrides::apply(&mut root, options)?;
        chain.warnings.extend(warnings);
        if let Data::Dict(entries) = &root.data {
            check_names(entries).map_err(|(at, problem)| chain.fail(at, problem))?;
        }
        let Chain { files, warnings, own, layers, .. } = chain;
        Ok(Pass { root, files, own, layers, warnings })
    }

    pub(crate) fn options(&self) -> &LoadOptions {
        &self.options
    }
}

/// Removes the key that asks for propagation and tells whether it does.
fn take_request(root: &mut Node) -> bool {
    let Data::Dict(entries) = &mut root.data else { return false };
    entries.shift_remove(&Key::from(PROPAGATE)).is_some_and(|node| node.data.is_truthy())
}

fn is_settled(before: &HashMap<u32, Entries>, after: &HashMap<u32, Entries>) -> bool {
    let is_same = |a: &Entries, b: &Entries| {
        a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| a.is_same(b)))
    };
    before.iter().all(|(file, a)| after.get(file).is_some_and(|b| is_same(a, b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;
    use serde_json::{Value, json};

    fn propagated(files: &[(&str, &str)], options: &[&str]) -> Value {
        let folder = Folder::new(files);
        let overrides = options.iter().map(|option| (*option).to_owned()).collect();
        let resolver = Resolver::new(LoadOptions { overrides, ..Default::default() });
        let config = resolver.propagate(true).load(&folder.path().join("a.py"));
        config.unwrap().value().clone()
    }

    const BASE: &str = "root = 'a/'\nscale = (1, 2)\npipe = [dict(type='A', scale=scale), dict(type='B')]\n\
        loader = dict(batch=1, set=dict(ann=root + 'x.json', pipe=pipe))";

    #[test]
    fn a_changed_variable_reaches_what_the_base_built_from_it() {
        let child = "_base_ = 'b.py'\nroot = 'c/'\nloader = dict(batch=4)";
        let found = propagated(&[("b.py", BASE), ("a.py", child)], &["scale=(3,4)"]);
        let pipe = json!([{"type": "A", "scale": [3, 4]}, {"type": "B"}]);
        let expected = json!({"root": "c/", "scale": [3, 4], "pipe": pipe,
            "loader": {"batch": 4, "set": {"ann": "c/x.json", "pipe": pipe}}});
        assert_eq!(found, expected);
    }

    #[test]
    fn a_child_may_compute_its_value_from_the_bases() {
        let child = "_base_ = 'b.py'\npipe = _base_.pipe[:1] + [dict(type='C')]";
        let found = propagated(&[("b.py", BASE), ("a.py", child)], &["pipe+=dict(type='D')"]);
        let pipe = json!([{"type": "A", "scale": [1, 2]}, {"type": "C"}, {"type": "D"}]);
        assert_eq!(found["pipe"], pipe);
        assert_eq!(found["loader"]["set"]["pipe"], pipe);
    }

    #[test]
    fn changes_in_place_are_made_once() {
        let base = "p = [1]\np.append(2)\np = p + [3]\nq = dict(p=p)";
        let found = propagated(&[("b.py", base), ("a.py", "_base_ = 'b.py'\np = [7]")], &[]);
        assert_eq!(found, json!({"p": [7], "q": {"p": [7]}}));
        let child = "_base_ = 'b.py'\n_base_.p.append(4)";
        let found = propagated(&[("b.py", base), ("a.py", child)], &[]);
        assert_eq!(found["p"], json!([1, 2, 3, 4]));
    }

    #[test]
    fn changes_reach_through_grandchildren_and_other_formats() {
        let files = [
            ("d.py", "n = 1\nm = dict(n=n)"),
            ("c.yaml", "_base_: d.py\nk: {{_base_.n}}\nj: [{{_base_.m}}]"),
            ("a.py", "_base_ = 'c.yaml'\nn = 5"),
        ];
        let expected = json!({"n": 5, "m": {"n": 5}, "k": 5, "j": [{"n": 5}]});
        assert_eq!(propagated(&files, &[]), expected);
    }

    #[test]
    fn a_config_asks_for_it_itself() {
        let child = "_base_ = 'b.py'\n_propagate_ = True\nroot = 'c/'";
        let folder = Folder::new(&[("b.py", BASE), ("a.py", child)]);
        let config = folder.load("a.py").unwrap();
        assert_eq!(config.get("loader.set.ann"), Some(&json!("c/x.json")));
        assert_eq!(config.get("_propagate_"), None);
    }

    #[test]
    fn files_stay_in_allowed_folders() {
        let files = [("in/a.py", "_base_ = '../out.py'"), ("out.py", ""), ("in/b.py", "x = 1")];
        let folder = Folder::new(&files);
        let inside = folder.path().join("in");
        let resolver = Resolver::new(LoadOptions::default()).roots(vec![inside.clone()]);
        assert!(resolver.load(&inside.join("b.py")).is_ok());
        let message = resolver.load(&inside.join("a.py")).unwrap_err().to_string();
        assert!(message.contains("out.py: expected a file in"), "{message}");
        std::os::unix::fs::symlink("../out.py", inside.join("link.py")).unwrap();
        assert!(resolver.load(&inside.join("link.py")).is_err());
    }
}
