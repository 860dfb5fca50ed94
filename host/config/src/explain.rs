//! Where a value came from: every file and override that wrote it, in order, and what a changed
//! variable no longer reaches.

use std::cell::Cell;
use std::fmt;
use std::path::Path;

use serde_json::Value;

use crate::chain::Layer;
use crate::error::{ConfigError, Problem};
use crate::limits::Limits;
use crate::location::{At, Location};
use crate::overrides;
use crate::propagate::{differences, overridden};
use crate::resolver::{Pass, PassOptions, Resolver};
use crate::tree::{Data, Entries, Key, Node};

/// The history of one value.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The dotted path that was asked for.
    pub key: String,
    /// What happened to it, oldest first; empty if nothing ever wrote it.
    pub steps: Vec<Step>,
    /// Variables that have to do with it and were changed without reaching what a base built of them.
    pub lost: Vec<Lost>,
}

/// One change of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Who made it.
    pub location: Location,
    /// The value after it, nothing if it was removed.
    pub value: Option<Value>,
}

/// A changed variable that no longer reaches the places that a base had put it.
#[derive(Clone, Debug, PartialEq)]
pub struct Lost {
    /// The variable, a top-level key.
    pub variable: String,
    /// Who changed it last.
    pub changed: Location,
    /// The dotted paths that keep the old value.
    pub places: Vec<String>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            writeln!(f, "{}: nothing writes it", self.key)?;
        }
        for Step { location, value } in &self.steps {
            match value {
                Some(value) => writeln!(f, "{location}: {} = {value}", self.key)?,
                None => writeln!(f, "{location}: {} is removed", self.key)?,
            }
        }
        self.lost.iter().try_for_each(|lost| writeln!(f, "warning: {lost}"))
    }
}

impl Lost {
    /// What is lost and the ways out, without the variable's name and place.
    pub fn message(&self) -> String {
        const MOST: usize = 5;
        let places = self.places.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
        let more = match self.places.len().saturating_sub(MOST) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "is changed, but {places}{more} built from it in a base keep the old value (change them too, \
             or set `_propagate_ = True`)"
        )
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: `{}` {}", self.changed, self.variable, self.message())
    }
}

impl Resolver {
    /// Tells the history of the value at a dotted path, and what is lost around it.
    pub fn explain(&self, path: &Path, key: &str) -> Result<Explanation, ConfigError> {
        let pass = match self.is_propagating(path)? {
            true => self.propagated(path, None)?.1,
            false => {
                self.pass(path, None, PassOptions { keeps_history: true, ..Default::default() })?
            }
        };
        let mut steps = match pass.layers.last() {
            Some(layer) => history(layer, &pass, key),
            None => Vec::new(),
        };
        self.override_steps(&pass, key, &mut steps);
        let is_near = |place: &str| {
            let below = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|r| r.starts_with('.'));
            place == key || below(place, key) || below(key, place)
        };
        let mut lost = self.lost(path)?;
        lost.retain(|lost| is_near(&lost.variable) || lost.places.iter().any(|p| is_near(p)));
        Ok(Explanation { key: key.to_owned(), steps, lost })
    }

    /// All changed variables that no longer reach the places that a base had put them; none where changes
    /// propagate.
    ///
    /// Found by trials with the changes propagated. A trial that fails tells nothing, and all of them together
    /// may cost only so much: what is not found by then is left out.
    ///
    /// Errors: the config itself does not load.
    pub fn lost(&self, path: &Path) -> Result<Vec<Lost>, ConfigError> {
        if self.is_propagating(path)? {
            return Ok(Vec::new());
        }
        let budget = Cell::new(Limits::of_trials());
        let options =
            PassOptions { keeps_history: true, budget: Some(&budget), ..Default::default() };
        let Ok(plain) = self.pass(path, None, options) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for variable in overridden(&plain.own, &self.options().overrides) {
            let only = PassOptions { only: Some(&variable), ..options };
            let reached = match self.settled(path, None, &plain, only) {
                Ok(reached) => reached,
                Err(ConfigError::At { problem, .. })
                    if matches!(*problem, Problem::Limit { .. }) =>
                {
                    break;
                }
                Err(_) => continue,
            };
            let mut places = Vec::new();
            differences(&plain.root, &reached.root, "", &mut places);
            let itself = |place: &String| place.split('.').next() == Some(&*variable);
            places.retain(|place| !itself(place));
            if places.is_empty() {
                continue;
            }
            let at = plain.root.find(&variable).map_or(plain.root.at, |node| node.at);
            found.push(Lost { changed: plain.files.locate(at), variable, places });
        }
        Ok(found)
    }

    /// Adds one step for each override that changes the value.
    fn override_steps(&self, pass: &Pass, key: &str, steps: &mut Vec<Step>) {
        let options = &self.options().overrides;
        let Some(layer) = pass.layers.last().filter(|_| !options.is_empty()) else { return };
        let mut root = Node::new(pass.root.at, Data::Dict(layer.values.clone()));
        for (number, option) in options.iter().enumerate() {
            let before = root.find(key).cloned();
            if overrides::apply(&mut root, std::slice::from_ref(option)).is_err() {
                continue;
            }
            let at = At { file: 0, line: number as u32 + 1 };
            let after = root.find(key);
            let is_same = match (&before, after) {
                (Some(before), Some(after)) => before.is_same(after),
                (before, after) => before.is_none() && after.is_none(),
            };
            if !is_same {
                let value = after.map(|node| node.data.to_json());
                steps.push(Step { location: pass.files.locate(at), value });
            }
        }
    }
}

/// What a file and its bases did to a value.
fn history(layer: &Layer, pass: &Pass, key: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut before: Option<&Node> = None;
    for base in layer.bases.iter().filter_map(|index| pass.layers.get(*index)) {
        steps.extend(history(base, pass, key));
        before = before.or_else(|| find(&base.values, key));
    }
    let files = &pass.files;
    match (before, find(&layer.values, key)) {
        (Some(before), Some(after)) if before.is_same(after) && before.at == after.at => {}
        (before, Some(after)) => {
            let at = changed_at(before, after, layer, key);
            steps.push(Step { location: files.locate(at), value: Some(after.data.to_json()) });
        }
        (Some(_), None) => {
            let at = remover(layer, key);
            steps.push(Step { location: files.locate(at), value: None });
        }
        (None, None) => {}
    }
    steps
}

fn find<'a>(values: &'a Entries, key: &str) -> Option<&'a Node> {
    let (first, rest) =
        key.split_once('.').map_or((key, None), |(first, rest)| (first, Some(rest)));
    let node = values.get(&Key::from(first))?;
    rest.map_or(Some(node), |rest| node.find(rest))
}

/// The line in this file that changed the value, which may be a line for something inside it.
fn changed_at(before: Option<&Node>, after: &Node, layer: &Layer, key: &str) -> At {
    let file = layer.file;
    if after.at.file == file || before.is_none() {
        return after.at;
    }
    let below = |path: &str| path.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    let unseen = layer.changes.iter().filter(|(path, _)| *path == key || below(path));
    let unseen = unseen.map(|(_, line)| At { file, line: *line }).max_by_key(|at| at.line);
    unseen.or_else(|| first_of(after, file)).unwrap_or(At { file, line: 1 })
}

fn first_of(node: &Node, file: u32) -> Option<At> {
    if node.at.file == file {
        return Some(node.at);
    }
    match &node.data {
        Data::List(nodes) | Data::Tuple(nodes) => nodes.iter().find_map(|n| first_of(n, file)),
        Data::Dict(entries) => entries.values().find_map(|n| first_of(n, file)),
        _ => None,
    }
}

/// The line that removed a value or what held it, else that of the nearest value above it that this file
/// wrote.
fn remover(Layer { values, file, changes, .. }: &Layer, key: &str) -> At {
    let paths = std::iter::successors(Some(key), |path| Some(path.rsplit_once('.')?.0));
    for path in paths {
        if let Some(line) = changes.get(path) {
            return At { file: *file, line: *line };
        }
        if let Some(node) = find(values, path).filter(|node| node.at.file == *file) {
            return node.at;
        }
    }
    At { file: *file, line: 1 }
}

#[cfg(test)]
mod tests {
    use crate::testing::Folder;
    use crate::{Explanation, LoadOptions, Resolver};

    const BASE: &str = "root = 'a/'\nmodel = dict(\n    depth=50,\n    neck=dict(type='N'))\npipe = [1]\nloader = dict(ann=root + 'x', pipe=pipe)";
    const CHILD: &str = "_base_ = 'b.py'\nroot = 'c/'\nmodel = dict(\n    depth=18, neck=dict(_delete_=True, k=1))\n_base_.pipe.append(2)";

    fn explained(key: &str, options: &[&str]) -> Explanation {
        let folder = Folder::new(&[("b.py", BASE), ("a.py", CHILD)]);
        let overrides = options.iter().map(|option| (*option).to_owned()).collect();
        let resolver = Resolver::new(LoadOptions { overrides, ..Default::default() });
        resolver.explain(&folder.path().join("a.py"), key).unwrap()
    }

    fn steps(key: &str, options: &[&str]) -> Vec<String> {
        let explanation = explained(key, options);
        let text = explanation.to_string();
        let strip = |line: &str| line.rsplit_once('/').map_or(line, |(_, line)| line).to_owned();
        text.lines().take(explanation.steps.len()).map(strip).collect()
    }

    #[test]
    fn every_file_and_override_is_a_step() {
        let expected = [
            "b.py, line 3: model.depth = 50",
            "a.py, line 4: model.depth = 18",
            "--cfg-options, option 2: model.depth = 34",
        ];
        assert_eq!(steps("model.depth", &["root=q", "model.depth=34"]), expected);
    }

    #[test]
    fn removals_and_changes_in_place_are_steps() {
        let expected =
            ["b.py, line 4: model.neck.type = \"N\"", "a.py, line 4: model.neck.type is removed"];
        assert_eq!(steps("model.neck.type", &[]), expected);
        assert_eq!(steps("pipe", &[]), ["b.py, line 5: pipe = [1]", "a.py, line 5: pipe = [1,2]"]);
        assert!(explained("no.such", &[]).to_string().starts_with("no.such: nothing writes it"));
    }

    #[test]
    fn removals_in_the_base_name_their_line() {
        let base = "m = dict(x=1, y=2, z=dict(k=1))\np = [1, 2]\nq = dict(x=1)";
        let child = "_base_ = 'b.py'\nr = 1\ndel _base_.m.x\n_base_.m.pop('y')\n_base_.p.pop(0)\n\
            del _base_['m']['z'].k\ndel _base_.q";
        let folder = Folder::new(&[("b.py", base), ("a.py", child)]);
        let resolver = Resolver::new(LoadOptions::default());
        for (key, line) in [("m.x", 3), ("m.y", 4), ("p", 5), ("m.z.k", 6), ("q", 7), ("q.x", 7)] {
            let explanation = resolver.explain(&folder.path().join("a.py"), key).unwrap();
            assert_eq!(explanation.steps.last().unwrap().location.line, line, "{key}");
        }
    }

    #[test]
    fn a_changed_variable_that_does_not_reach_is_told() {
        let explanation = explained("root", &[]);
        assert_eq!(explanation.lost[0].variable, "root");
        assert_eq!(explanation.lost[0].places, ["loader.ann"]);
        assert_eq!(explanation.lost[0].changed.line, 2);
        assert_eq!(explained("loader.ann", &[]).lost.len(), 1);
        assert!(explained("model", &[]).lost.is_empty());
        assert_eq!(explained("pipe", &["pipe=[7,8]"]).lost[0].places, ["loader.pipe"]);
    }

    fn lost(base: &str, child: &str) -> Vec<crate::Lost> {
        let folder = Folder::new(&[("b.py", base), ("a.py", child)]);
        Resolver::new(LoadOptions::default()).lost(&folder.path().join("a.py")).unwrap()
    }

    #[test]
    fn a_trial_that_fails_tells_nothing_and_harms_nothing() {
        let base = "scale = (640, 640)\nhalf = scale[0] // 2\nn = 4\nm = 12 // n\nroot = 'a/'\nann = root + 'x'";
        let found = lost(base, "_base_ = 'b.py'\nscale = 64\nn = 0\nroot = 'c/'");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].variable, "root");
    }

    #[test]
    fn trials_end_however_many_variables_are_changed() {
        let many = |value: u32| (0..2000).map(|i| format!("v{i} = {value}\n")).collect::<String>();
        let base = format!("{}k = [v0 for i in range(20000)]", many(1));
        let begin = std::time::Instant::now();
        lost(&base, &format!("_base_ = 'b.py'\n{}", many(2)));
        assert!(begin.elapsed().as_secs() < 60);
    }

    #[test]
    fn places_are_found_where_the_change_removes_a_key() {
        let base = "flag = True\nroot = 'a'\nif flag:\n    extra = 1\nk = dict(flag=flag)";
        let found = lost(base, "_base_ = 'b.py'\nflag = False");
        assert_eq!(found[0].places, ["k.flag", "extra"]);
    }

    #[test]
    fn nothing_is_lost_where_changes_propagate() {
        let folder = Folder::new(&[("b.py", BASE), ("a.py", CHILD)]);
        let path = folder.path().join("a.py");
        let resolver = Resolver::new(LoadOptions::default()).propagate(true);
        assert!(resolver.lost(&path).unwrap().is_empty());
        let explanation = resolver.explain(&path, "loader.ann").unwrap();
        assert_eq!(explanation.steps.last().unwrap().value, Some("c/x".into()));
        assert!(explanation.lost.is_empty());
        std::fs::write(&path, format!("{CHILD}\n_propagate_ = True")).unwrap();
        assert!(Resolver::new(LoadOptions::default()).lost(&path).unwrap().is_empty());
    }
}
