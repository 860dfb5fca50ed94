//! Imported names: bases of the lazy style, lazy objects, and the harmless part of a few modules.
//!
//! Nothing is imported. A name of a class stands for its dotted path, as a string in the result; a
//! handful of functions that only compute (`os.path.join`, `copy.deepcopy`, `math.sqrt`) work.
//! Source: `_parse_lazy_import` in MMEngine's `mmengine/config/config.py`. Where we differ: every
//! `with read_base()` block counts, and of two different values of one name the later wins with a
//! warning.

use std::sync::Arc;

use super::evaluate::{Evaluate, Evaluator};
use super::expressions::Arguments;
use super::heap::{Slot, Value};
use super::syntax::BaseImport;
use crate::error::Problem;
use crate::nearest::nearest;
use crate::tree::{Entries, Key};

/// A base of the lazy style, loaded.
pub(crate) struct Module {
    pub(crate) values: Entries,
    /// Names that it imported itself, with what they stand for.
    pub(crate) imports: Vec<(Arc<str>, Arc<str>)>,
}

const CALLABLE: &str = "write `dict(type=…, …)` to have it built; of imported functions only os.path.join, \
     basename, dirname, splitext and normpath, os.getenv, copy.copy, copy.deepcopy, and math's \
     sqrt, ceil, floor, log, exp, sin and cos can be called";

/// What taking a path apart costs for each of its bytes, in bytes looked at.
const WORK_PER_LETTER_OF_PATH: usize = 32;
/// What looking a variable of the environment up costs, in bytes looked at.
const WORK_OF_ENVIRONMENT: usize = 4096;

impl Evaluator<'_> {
    pub(super) fn import(&mut self, name: &Arc<str>, path: &Arc<str>, line: u32) {
        let slot = Slot { at: self.at(line), value: Value::Lazy(path.clone()) };
        self.names.insert(name.clone(), slot);
        self.imports.insert(name.clone(), path.clone());
    }

    /// Brings the names of one base of the lazy style in.
    pub(super) fn import_base(&mut self, import: &BaseImport) -> Evaluate<()> {
        let fail = |problem| (import.line, problem);
        let Some(Module { mut values, imports }) = self.modules.pop_front() else {
            let message = "`with read_base()`: expected at the top level of the file";
            return Err(fail(Problem::Value(message.to_owned())));
        };
        let Some(names) = &import.names else {
            for (name, path) in imports {
                self.import(&name, &path, import.line);
            }
            for (key, node) in values {
                if let Key::Str(name) = key {
                    let slot = self.heap.thaw(node);
                    self.bring_in(name, slot, import.line).map_err(fail)?;
                }
            }
            return Ok(());
        };
        for (name, known_as) in names {
            if let Some(node) = values.shift_remove(&Key::Str(name.clone())) {
                let slot = self.heap.thaw(node);
                self.bring_in(known_as.clone(), slot, import.line).map_err(fail)?;
            } else if let Some((_, path)) = imports.iter().find(|(known, _)| known == name) {
                self.import(known_as, path, import.line);
            } else {
                let nearest = nearest(name, values.keys().filter_map(Key::as_str));
                let holder = format!("the config {}", import.module);
                let (key, nearest) = (name.to_string(), nearest.map(str::to_owned));
                return Err(fail(Problem::UnknownKey { holder, key, nearest }));
            }
        }
        Ok(())
    }

    fn bring_in(&mut self, name: Arc<str>, slot: Slot, line: u32) -> Result<(), Problem> {
        if let Some(before) = self.names.get(&name).cloned()
            && !matches!(before.value, Value::Lazy(_))
            && !self.equal(&before.value, &slot.value, 0)?
        {
            let warning =
                format!("`{name}` comes from two bases with different values; the later wins");
            self.warnings.push((line, warning));
        }
        self.imports.shift_remove(&name);
        self.names.insert(name, slot);
        Ok(())
    }

    /// What an attribute of an imported object stands for.
    pub(super) fn imported(&self, path: &str) -> Value {
        match path {
            "math.pi" => Value::Float(std::f64::consts::PI),
            "math.e" => Value::Float(std::f64::consts::E),
            "math.inf" => Value::Float(f64::INFINITY),
            "math.nan" => Value::Float(f64::NAN),
            "os.sep" | "os.path.sep" => Value::from("/"),
            path => Value::Lazy(path.into()),
        }
    }

    /// Calls one of the functions that only compute.
    pub(super) fn call_imported(
        &mut self,
        path: &str,
        arguments: Arguments,
    ) -> Result<Value, Problem> {
        let refuse =
            || Problem::NotInLanguage { what: format!("calls of `{path}`"), hint: CALLABLE };
        if let Some((keyword, _)) = arguments.keywords.first() {
            return Err(match known(path) {
                true => {
                    Problem::Value(format!("{path}(): expected no keywords, found `{keyword}`"))
                }
                false => refuse(),
            });
        }
        let values: Vec<&Value> = arguments.positional.iter().map(|slot| &slot.value).collect();
        let path = path.replace("posixpath.", "os.path.");
        match (&*path, &values[..]) {
            ("copy.deepcopy", [value]) => {
                let slot = Slot { at: self.at(arguments.line), value: (*value).clone() };
                let is_config = self.heap.is_config(value);
                let node = self.heap.freeze(&slot, self.limits)?;
                let copy = self.heap.thaw(node).value;
                if !is_config {
                    self.heap.make_plain(&copy);
                }
                Ok(copy)
            }
            ("copy.copy", [value @ (Value::List(_) | Value::Dict(_))]) => {
                let arguments =
                    Arguments { line: arguments.line, positional: vec![], keywords: vec![] };
                self.method(value, "copy", arguments)
            }
            ("os.getenv" | "os.environ.get", [Value::Str(name), default @ ..]) => {
                let default = default.first().map_or(Value::None, |value| (*value).clone());
                self.limits.work(name.len().saturating_add(WORK_OF_ENVIRONMENT))?;
                let Ok(text) = std::env::var(&**name) else { return Ok(default) };
                self.limits.text(text.len())?;
                Ok(Value::from(&*text))
            }
            (path, [Value::Str(first), rest @ ..]) if path.starts_with("os.path.") => {
                self.path_function(&path["os.path.".len()..], first, rest, arguments.line)
            }
            (path, [number]) if path.starts_with("math.") => {
                let number = number.as_float().ok_or_else(|| {
                    Problem::Value(format!(
                        "{path}(): expected a number, found {}",
                        number.type_name()
                    ))
                })?;
                math(&path["math.".len()..], number).ok_or_else(refuse)
            }
            _ => Err(refuse()),
        }
    }

    /// Functions on paths, by their text alone.
    fn path_function(
        &mut self,
        name: &str,
        first: &str,
        rest: &[&Value],
        line: u32,
    ) -> Result<Value, Problem> {
        self.limits.text(first.len())?;
        self.limits.work(first.len().saturating_mul(WORK_PER_LETTER_OF_PATH))?;
        let (folder, file) = first.rsplit_once('/').unwrap_or(("", first));
        let at = self.at(line);
        match (name, rest) {
            ("join", rest) => {
                let mut joined = first.to_owned();
                for part in rest {
                    let Value::Str(part) = part else {
                        return Err(Problem::Value("os.path.join(): expected strings".to_owned()));
                    };
                    self.limits.text(joined.len() + part.len() + 1)?;
                    if part.starts_with('/') {
                        joined.clear();
                    } else if !joined.is_empty() && !joined.ends_with('/') {
                        joined.push('/');
                    }
                    joined.push_str(part);
                }
                Ok(Value::from(&*joined))
            }
            ("basename", []) => Ok(Value::from(file)),
            ("dirname", []) => Ok(Value::from(folder)),
            ("splitext", []) => {
                let dot = file.rfind('.').filter(|dot| file[..*dot].contains(|c| c != '.'));
                let split = dot.map_or(first.len(), |dot| first.len() - file.len() + dot);
                let parts = [&first[..split], &first[split..]];
                Ok(self.heap.tuple(parts.map(|part| Slot { at, value: part.into() }).into()))
            }
            ("normpath", []) => {
                let path = crate::chain::normal(std::path::Path::new(first));
                let text = path.to_string_lossy();
                Ok(Value::from(if text.is_empty() { "." } else { &*text }))
            }
            _ => Err(Problem::NotInLanguage {
                what: format!("calls of `os.path.{name}`"),
                hint: CALLABLE,
            }),
        }
    }
}

fn known(path: &str) -> bool {
    ["os.path.", "os.getenv", "os.environ.get", "copy.", "math."]
        .iter()
        .any(|p| path.starts_with(p))
}

fn math(name: &str, number: f64) -> Option<Value> {
    Some(match name {
        "ceil" => Value::Int(number.ceil() as i64),
        "floor" => Value::Int(number.floor() as i64),
        "sqrt" => Value::Float(number.sqrt()),
        "log" => Value::Float(number.ln()),
        "exp" => Value::Float(number.exp()),
        "sin" => Value::Float(number.sin()),
        "cos" => Value::Float(number.cos()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Folder, error, values};
    use serde_json::{Value, json};

    const BASE: &str = "from mmengine.dataset import DefaultSampler\nfrom torch.optim import SGD\n\
        pipe = [dict(type='A')]\nloader = dict(batch=1, sampler=dict(type=DefaultSampler, shuffle=True), pipe=pipe)\n\
        optim = dict(type=SGD, lr=0.1, momentum=0.9)\nmax_epochs = 12";

    fn lazy(child: &str) -> Value {
        let folder = Folder::new(&[
            ("_base_/b.py", BASE),
            ("c.py", "z = 1\nmax_epochs = 12"),
            ("x/a.py", child),
        ]);
        folder.load("x/a.py").unwrap().value().clone()
    }

    #[test]
    fn names_of_bases_come_in_and_classes_become_dotted_names() {
        let child = "from mmengine.config import read_base\n\nwith read_base():\n    from .._base_.b import *\n\
            with read_base():\n    from ..c import z as y, max_epochs\nimport torch.nn as nn\n\
            from mmdet.models import (\n    YOLOX as Model)\n\
            loader.update(dict(batch=8, sampler=dict(shuffle=False)))\noptim.merge(dict(_delete_=True, type=SGD, lr=1))\n\
            max_epochs *= 2\nmodel = dict(type=Model, act=nn.ReLU, norm=nn.modules.BatchNorm2d)";
        let expected = json!({
            "pipe": [{"type": "A"}],
            "loader": {"batch": 8, "sampler": {"type": "mmengine.dataset.DefaultSampler", "shuffle": false}, "pipe": [{"type": "A"}]},
            "optim": {"type": "torch.optim.SGD", "lr": 1},
            "max_epochs": 24, "y": 1,
            "model": {"type": "mmdet.models.YOLOX", "act": "torch.nn.ReLU", "norm": "torch.nn.modules.BatchNorm2d"},
        });
        assert_eq!(lazy(child), expected);
    }

    #[test]
    fn assignment_replaces_and_update_honours_delete() {
        let child = "with read_base():\n    from .._base_.b import *\noptim = dict(lr=3)\nloader.update(sampler=dict(_delete_=True, k=1))\ndel pipe";
        let found = lazy(child);
        assert_eq!(found["optim"], json!({"lr": 3}));
        assert_eq!(found["loader"]["sampler"], json!({"k": 1}));
        assert_eq!(found.get("pipe"), None);
    }

    #[test]
    fn styles_mix_and_absolute_modules_are_found() {
        let files = [
            ("kit/configs/b.py", "_base_ = './c.py'\nn = _base_.m + 1"),
            ("kit/configs/c.py", "m = 1"),
            ("d.py", "with read_base():\n    from kit.configs.b import n\nk = n"),
            ("a.py", "_base_ = 'd.py'\nk = _base_.k + 1"),
        ];
        assert_eq!(*Folder::new(&files).load("a.py").unwrap().value(), json!({"n": 2, "k": 3}));
    }

    #[test]
    fn one_name_with_two_values_warns() {
        let files = [
            ("b.py", "x = 1\ny = [1]"),
            ("c.py", "x = 2\ny = [1]"),
            ("a.py", "with read_base():\n    from .b import *\n    from .c import *"),
        ];
        let config = Folder::new(&files).load("a.py").unwrap();
        assert_eq!(*config.value(), json!({"x": 2, "y": [1]}));
        assert_eq!(config.warnings().len(), 1);
        assert!(
            config.warnings()[0].contains("line 3: `x` comes from two bases"),
            "{:?}",
            config.warnings()
        );
    }

    #[test]
    fn harmless_functions_work_and_others_are_refused() {
        let text = "import os.path as osp\nimport copy, math\nfrom os.path import join\na = osp.join('x/', 'y', 'z.py')\n\
            b = osp.splitext(osp.basename(a))\nc = dict(p=[1])\nd = copy.deepcopy(c)\nd['p'].append(2)\ne = math.pi > 3\n\
            f = join('a', '/b')\nimport os\ng = os.getenv('SNAPHOOK_NOT_SET', 'h')";
        let expected = json!({"a": "x/y/z.py", "b": ["z", ".py"], "c": {"p": [1]}, "d": {"p": [1, 2]}, "e": true,
            "f": "/b", "g": "h"});
        assert_eq!(values(text), expected);
        for (text, words) in [
            ("import os\na = os.system('x')", "line 2: calls of `os.system` are not part"),
            ("from torch import nn\na = nn.ReLU()", "calls of `torch.nn.ReLU` are not part"),
            ("from torch import *", "line 1: imports of everything outside `with read_base()`"),
            ("from .b import x", "line 1: relative imports outside `with read_base()`"),
            ("with open('x'): pass", "`with` statements"),
            ("with read_base():\n    x = 1", "line 2: statements other than `from … import …` in"),
            (
                "with read_base():\n    from .b import *",
                "line 2: base b.py: expected a config file",
            ),
            (
                "with read_base():\n    from no_such_kit.b import *",
                "package no_such_kit is in none of",
            ),
        ] {
            let message = error(text);
            assert!(message.contains(words), "{message}");
        }
        let folder = Folder::new(&[
            ("b.py", "xyz = 1"),
            ("a.py", "with read_base():\n    from .b import xzy"),
        ]);
        assert!(
            folder
                .error("a.py")
                .contains("line 2: the config .b has no key `xzy` (did you mean `xyz`?)")
        );
    }
}
