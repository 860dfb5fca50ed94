//! Runs the statements of one file over its names and its live base, and freezes what comes out.
//!
//! Knows nothing of files: it is given the syntax tree and the base's values.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use indexmap::IndexMap;

use super::heap::{Heap, Slot, Value};
use super::imports::Module;
use super::syntax::{Expression, ExpressionKind, For, Statement, StatementKind};
use crate::error::Problem;
use crate::limits::Limits;
use crate::location::At;
use crate::propagate::Later;
use crate::tree::{Data, Entries, Key, Node};

/// The name under which a file sees its base.
pub(crate) const BASE: &str = "_base_";

/// A result, or the line and what is wrong there.
pub(super) type Evaluate<T> = Result<T, (u32, Problem)>;

/// What a file leaves behind: its own names, and its base with the changes it made to it.
pub(crate) struct Evaluated {
    pub(crate) own: Entries,
    pub(crate) base: Entries,
    /// Lines that removed something of the base or changed a list of it in place, by dotted path.
    pub(crate) changes: HashMap<String, u32>,
    /// Names that stand for imported objects, with their dotted paths.
    pub(crate) imports: Vec<(Arc<str>, Arc<str>)>,
    /// What looks wrong, with the line.
    pub(crate) warnings: Vec<(u32, String)>,
}

/// Where a statement hands on to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// The evaluator's state: names, containers and what may still be spent.
pub(super) struct Evaluator<'a> {
    pub(super) heap: Heap,
    pub(super) names: IndexMap<Arc<str>, Slot>,
    /// Names of the comprehensions around the current expression, innermost last.
    pub(super) locals: Vec<(Arc<str>, Value)>,
    pub(super) limits: &'a mut Limits,
    pub(super) file: u32,
    /// What files that inherit from this one will change, where that is to propagate.
    pub(super) later: Option<&'a Later<'a>>,
    /// Names are read as they are: what is read will be changed, not used.
    pub(super) reads_raw: bool,
    /// The name that the current statement assigns to, which is read as it is.
    pub(super) assigned: Option<Arc<str>>,
    /// Bases of the lazy style that are to be imported, in order.
    pub(super) modules: VecDeque<Module>,
    /// Names that stand for imported objects.
    pub(super) imports: IndexMap<Arc<str>, Arc<str>>,
    pub(super) warnings: Vec<(u32, String)>,
    /// Lines that removed entries of dicts, and lines that changed lists in place.
    pub(super) removals: HashMap<usize, HashMap<Key, u32>>,
    pub(super) cuts: HashMap<usize, u32>,
}

/// What a file is evaluated over.
pub(crate) struct Input<'a> {
    pub(crate) file: u32,
    pub(crate) base: Entries,
    pub(crate) modules: VecDeque<Module>,
    pub(crate) later: Option<&'a Later<'a>>,
}

/// A base that a file names: a path, or a module of the lazy style.
pub(crate) struct Base {
    pub(crate) line: u32,
    pub(crate) name: String,
    pub(crate) is_module: bool,
}

/// Evaluates a file's statements.
pub(crate) fn evaluate(
    statements: &[Statement],
    input: Input,
    limits: &mut Limits,
) -> Evaluate<Evaluated> {
    let Input { file, base, modules, later } = input;
    let mut evaluator = Evaluator { later, modules, ..Evaluator::new(file, limits) };
    let base = evaluator.heap.thaw_entries(base);
    let base = Slot { at: At { file, line: 1 }, value: base };
    evaluator.names.insert(BASE.into(), base);
    for statement in statements.iter().filter(|s| base_assignment(s).is_none()) {
        evaluator.statement(statement)?;
    }
    evaluator.finish()
}

/// The value of an expression that stands by itself and sees no names.
pub(crate) fn literal(text: &str) -> Evaluate<Node> {
    let statements = super::parse(text)?;
    let [Statement { kind: StatementKind::Evaluate(value), .. }] = &statements[..] else {
        return Err((1, Problem::Value("expected one value".to_owned())));
    };
    let mut limits = Limits::new();
    let mut evaluator = Evaluator::new(0, &mut limits);
    let value = evaluator.expression(value)?;
    let slot = Slot { at: evaluator.at(1), value };
    evaluator.heap.freeze(&slot, evaluator.limits).map_err(|problem| (1, problem))
}

/// The bases that a file names, in `_base_` and in `with read_base()`.
pub(crate) fn base_names(statements: &[Statement], limits: &mut Limits) -> Evaluate<Vec<Base>> {
    let paths = base_paths(statements, limits)?.into_iter();
    let mut bases: Vec<Base> =
        paths.map(|(line, name)| Base { line, name, is_module: false }).collect();
    for statement in statements {
        if let StatementKind::ReadBase(imports) = &statement.kind {
            bases.extend(imports.iter().map(|import| Base {
                line: import.line,
                name: import.module.clone(),
                is_module: true,
            }));
        }
    }
    Ok(bases)
}

/// The bases that a file names in its assignment to `_base_`, with the line.
///
/// The expression is evaluated by itself: it sees no other name. A string, or a list or tuple of them.
fn base_paths(statements: &[Statement], limits: &mut Limits) -> Evaluate<Vec<(u32, String)>> {
    let mut assignments = statements.iter().filter_map(|s| Some((s.line, base_assignment(s)?)));
    let Some((line, value)) = assignments.next() else { return Ok(Vec::new()) };
    if let Some((line, _)) = assignments.next() {
        let message = "`_base_`: expected one assignment, found a second one";
        return Err((line, Problem::Value(message.to_owned())));
    }
    let mut evaluator = Evaluator::new(0, limits);
    let bases = evaluator.expression(value)?;
    let expected = || {
        let message = "`_base_`: expected a path or a list of paths, as strings";
        (line, Problem::Value(message.to_owned()))
    };
    match bases {
        Value::Str(path) => Ok(vec![(line, path.to_string())]),
        Value::List(id) | Value::Tuple(id) => evaluator
            .heap
            .items(id)
            .iter()
            .map(|slot| match &slot.value {
                Value::Str(path) => Ok((slot.at.line, path.to_string())),
                _ => Err(expected()),
            })
            .collect(),
        _ => Err(expected()),
    }
}

/// The value of a statement that assigns to `_base_`.
fn base_assignment(statement: &Statement) -> Option<&Expression> {
    let StatementKind::Assign { targets, value } = &statement.kind else { return None };
    match &targets[0].kind {
        ExpressionKind::Name(name) if &**name == BASE => Some(value),
        _ => None,
    }
}

impl<'a> Evaluator<'a> {
    fn new(file: u32, limits: &'a mut Limits) -> Self {
        let (names, locals) = (IndexMap::new(), Vec::new());
        let (later, reads_raw, assigned) = (None, false, None);
        let (modules, imports, warnings) = (VecDeque::new(), IndexMap::new(), Vec::new());
        Self {
            heap: Heap::default(),
            names,
            locals,
            limits,
            file,
            later,
            reads_raw,
            assigned,
            modules,
            imports,
            warnings,
            removals: HashMap::new(),
            cuts: HashMap::new(),
        }
    }

    pub(super) fn at(&self, line: u32) -> At {
        At { file: self.file, line }
    }

    fn statement(&mut self, statement: &Statement) -> Evaluate<Flow> {
        match &statement.kind {
            StatementKind::Assign { targets, value } => {
                self.assigned = match &targets[0].kind {
                    ExpressionKind::Name(name) => Some(name.clone()),
                    _ => None,
                };
                let value = self.expression(value)?;
                self.assigned = None;
                targets.iter().try_for_each(|target| self.assign(target, value.clone()))?;
            }
            StatementKind::AugmentedAssign { target, operator, value } => {
                self.assign_augmented(target, *operator, value)?;
            }
            StatementKind::Delete(targets) => {
                targets.iter().try_for_each(|target| self.delete(target))?;
            }
            // A call that stands alone changes what it is called on.
            StatementKind::Evaluate(Expression { line, kind: ExpressionKind::Call(call) }) => {
                drop(self.call(call, *line, true)?);
            }
            StatementKind::Evaluate(value) => drop(self.expression(value)?),
            StatementKind::If { branches, otherwise } => return self.branch(branches, otherwise),
            StatementKind::For(round) => return self.for_each(round),
            StatementKind::Import(bindings) => {
                bindings.iter().for_each(|(name, path)| self.import(name, path, statement.line));
            }
            StatementKind::ReadBase(imports) => {
                imports.iter().try_for_each(|import| self.import_base(import))?;
            }
            StatementKind::Break => return Ok(Flow::Break),
            StatementKind::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn block(&mut self, body: &[Statement]) -> Evaluate<Flow> {
        for statement in body {
            let flow = self.statement(statement)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn branch(
        &mut self,
        branches: &[(Expression, Vec<Statement>)],
        otherwise: &[Statement],
    ) -> Evaluate<Flow> {
        for (test, body) in branches {
            let test = self.expression(test)?;
            if self.heap.is_truthy(&test) {
                return self.block(body);
            }
        }
        self.block(otherwise)
    }

    /// The loop's names stay after it, as in Python.
    fn for_each(&mut self, round: &For) -> Evaluate<Flow> {
        let source = self.expression(&round.source)?;
        let line = round.source.line;
        for item in self.iterate(&source, line).map_err(|problem| (line, problem))? {
            self.limits.step().map_err(|problem| (line, problem))?;
            self.assign(&round.target, item.value)?;
            if self.block(&round.body)? == Flow::Break {
                return Ok(Flow::Next);
            }
        }
        self.block(&round.otherwise)
    }

    /// Finds the paths of what was removed or changed in place; what was frozen holds no cycle.
    fn changes(
        &mut self,
        value: &Value,
        path: &str,
        found: &mut HashMap<String, u32>,
    ) -> Result<(), Problem> {
        let below = |step: &dyn std::fmt::Display| match path {
            "" => step.to_string(),
            path => format!("{path}.{step}"),
        };
        self.limits.text(path.len())?;
        match value {
            Value::Dict(id) => {
                let removed = self.removals.get(id).into_iter().flatten();
                found.extend(removed.map(|(key, line)| (below(key), *line)));
                let entries = &self.heap.entries(*id).entries;
                let entries: Vec<(Key, Value)> =
                    entries.iter().map(|(key, slot)| (key.clone(), slot.value.clone())).collect();
                for (key, value) in entries {
                    self.changes(&value, &below(&key), found)?;
                }
            }
            Value::List(id) | Value::Tuple(id) => {
                if let Some(line) = self.cuts.get(id) {
                    found.insert(path.to_owned(), *line);
                }
                let items: Vec<Value> =
                    self.heap.items(*id).iter().map(|slot| slot.value.clone()).collect();
                for (index, value) in items.iter().enumerate() {
                    self.changes(value, &below(&index), found)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Evaluate<Evaluated> {
        let (mut base, mut changes) = (Entries::new(), HashMap::new());
        if let Some(slot) = self.names.shift_remove(BASE) {
            let line = slot.at.line;
            match self.heap.freeze(&slot, self.limits).map_err(|p| (slot.at.line, p))?.data {
                Data::Dict(entries) => base = entries,
                other => {
                    let message = format!("`_base_`: expected a dict, found {}", other.type_name());
                    return Err((slot.at.line, Problem::Value(message)));
                }
            }
            if !self.removals.is_empty() || !self.cuts.is_empty() {
                self.changes(&slot.value, "", &mut changes).map_err(|p| (line, p))?;
            }
        }
        let mut own = Entries::new();
        let is_import = |name: &Arc<str>, slot: &Slot| match &slot.value {
            Value::Lazy(path) => self.imports.get(name) == Some(path),
            _ => false,
        };
        for (name, slot) in &self.names {
            if !name.starts_with("__") && !is_import(name, slot) {
                let node = self.heap.freeze(slot, self.limits).map_err(|p| (slot.at.line, p))?;
                own.insert(Key::Str(name.clone()), node);
            }
        }
        let imports = self.imports.into_iter().collect();
        Ok(Evaluated { own, base, changes, imports, warnings: self.warnings })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{error, error_over, over, values};
    use serde_json::json;

    #[test]
    fn literals_keep_int_and_float_apart() {
        let text = "a = 1\nb = 1.0\nc = -3\nd = 1e-3\ne = 0x10\nf = 1_000\ng = None\nh = True\n\
                    i = 'a' \"b\"\nj = r'\\d'\nk = (1, [2, {}], {'x': 1, 2: 3})\nl = float('inf')";
        let expected = r#"{"a":1,"b":1.0,"c":-3,"d":0.001,"e":16,"f":1000,"g":null,"h":true,"i":"ab","j":"\\d","k":[1,[2,{}],{"x":1,"2":3}],"l":"inf"}"#;
        assert_eq!(values(text).to_string(), expected);
    }

    #[test]
    fn arithmetic_follows_python() {
        let text = "a = 7 / 2\nb = 7 // 2\nc = -640 // 2\nd = 2 ** 3\ne = 2 ** -1\nf = 7 % -3\n\
                    g = 'ab' + 'c'\nh = [1] * 3\ni = [1] + [2]\nj = 1.5 * 2\nk = -(1 - 3)\n\
                    l = 'x' * 2\nm = True + 1\nn = 4 / 2\no = (1,) + (2,)\np = 0.01 / 8 * 3";
        let expected = r#"{"a":3.5,"b":3,"c":-320,"d":8,"e":0.5,"f":-2,"g":"abc","h":[1,1,1],"i":[1,2],"j":3.0,"k":2,"l":"xx","m":2,"n":2.0,"o":[1,2],"p":0.00375}"#;
        assert_eq!(values(text).to_string(), expected);
    }

    #[test]
    fn sorting_is_stable_and_survives_numbers_without_order() {
        let text = "a = sorted([(1, 'b'), (0, 'c'), (1, 'a')], reverse=True)\nb = sorted([2, 1.0, 1, 0])\n\
            c = sorted([1, 1.0, True])\nd = len(sorted([float('nan') if i % 3 else i % 7 for i in range(99)]))";
        let expected = json!({"a": [[1, "b"], [1, "a"], [0, "c"]], "b": [0, 1.0, 1, 2], "c": [1, 1.0, true], "d": 99});
        assert_eq!(values(text), expected);
        assert!(error("a = sorted([1, 'x'])").contains("comparison: expected two numbers"));
    }

    #[test]
    fn builtins_take_what_pythons_do() {
        let text = "a = 'abc'.startswith(('x', 'ab'))\nb = 'abc'.endswith(('x', 'y'))\nc = 'aaa'.replace('a', 'b', 1)\n\
            d = round(1250, -2)\ne = round(-1351, -2)\nf = int('0x1f', 16)\ng = int('-1_0', 2)\nh = sum([1], 3)\n\
            i = max([1], default=3)\nj = min([], default=3)\n(k, [l, m]), n = (1, [2, 3]), 4\no = int('0b11', 0)\n\
            p = sum([[1], [2]], [])\nq = round(1350, -2)";
        let expected = json!({"a": true, "b": false, "c": "baa", "d": 1200, "e": -1400, "f": 31, "g": -2, "h": 4,
            "i": 1, "j": 3, "k": 1, "l": 2, "m": 3, "n": 4, "o": 3, "p": [1, 2], "q": 1400});
        assert_eq!(values(text), expected);
    }

    #[test]
    fn items_and_slices_count_from_both_ends() {
        let text = "a = [0, 1, 2, 3, 4]\nb = a[-1]\nc = a[1:3]\nd = a[-3:-1]\ne = a[::-1]\nf = 'abc'[1]\n\
                    g = a[::2]\nh = a[10:]\ni = (1, 2)[:1]\nj = {'k': 5}['k']\nk = 'abc'[-2:]";
        let found = values(text);
        let expected = json!({"a": [0, 1, 2, 3, 4], "b": 4, "c": [1, 2], "d": [2, 3], "e": [4, 3, 2, 1, 0],
            "f": "b", "g": [0, 2, 4], "h": [], "i": [1], "j": 5, "k": "bc"});
        assert_eq!(found, expected);
    }

    #[test]
    fn comprehensions_nest_and_do_not_leak() {
        let text = "d = [2, 1]\na = [x * 2 for x in range(4) if x % 2]\n\
                    b = {f's{i}.b{j}': i + j for i, n in enumerate(d) for j in range(n)}\n\
                    c = [(s, f) for s in d for f in (0, 1)]\ne = sum(x for x in d)\nf = list(zip(d, 'ab'))";
        let expected = json!({"d": [2, 1], "a": [2, 6], "b": {"s0.b0": 0, "s0.b1": 1, "s1.b0": 1},
            "c": [[2, 0], [2, 1], [1, 0], [1, 1]], "e": 3, "f": [[2, "a"], [1, "b"]]});
        assert_eq!(values(text), expected);
        assert!(error("a = [x for x in [1]]\nb = x").contains("line 2: name `x` is not defined"));
    }

    #[test]
    fn loops_and_branches_run_as_in_python() {
        let text = "a = []\nfor i, n in enumerate(['x', 'y', 'z']):\n    if n == 'y':\n        continue\n    elif i > 5:\n\
                    \x20       break\n    else:\n        a.append(f'{n}{i}')\nelse:\n    done = True\n\
                    if a and not done:\n    b = 1\nelif a[0] == 'x0':\n    b = 2\n\
                    for k in range(9):\n    if k == 3:\n        break\nelse:\n    b = 7";
        let expected = json!({"a": ["x0", "z2"], "i": 2, "n": "z", "done": true, "b": 2, "k": 3});
        assert_eq!(values(text), expected);
    }

    #[test]
    fn bases_are_named_at_the_top_only() {
        let message = error("if 1:\n    _base_ = 'b.py'");
        assert!(message.contains("line 2: `_base_`: expected one assignment"), "{message}");
    }

    #[test]
    fn truth_and_choice_work_on_values() {
        let text = "a = 1 if [] else 2\nb = None or 'x'\nc = 1 < 2 <= 2\nd = not 1\ne = 'a' in 'abc'\n\
                    f = 2 not in [1]\ng = [1, 2.0] == [1.0, 2]\nh = None is None\ni = max(3, 4) - min([1, 2])\n\
                    j = f'{0.5:.2f}|{3!r}|{\"a\"!r}|{[1, \"b\"]}|{7:03d}'";
        let expected = json!({"a": 2, "b": "x", "c": true, "d": false, "e": true, "f": true, "g": true, "h": true,
            "i": 3, "j": "0.50|3|'a'|[1, 'b']|007"});
        assert_eq!(values(text), expected);
    }

    #[test]
    fn names_share_what_they_name() {
        let text =
            "a = [1]\nb = a\nb.append(2)\nb += [3]\nc = dict(x=a)\na[0] = 9\nd = a.copy()\nd.pop()";
        let expected = json!({"a": [9, 2, 3], "b": [9, 2, 3], "c": {"x": [9, 2, 3]}, "d": [9, 2]});
        assert_eq!(values(text), expected);
    }

    #[test]
    fn the_base_is_live() {
        let base = "m = dict(h=dict(n=1, k=2), s=[dict(x=1)])\np = [1, 2, 3]\nq = 1";
        let child = "q2 = _base_.m.h\nq2.update(dict(n=5))\n_base_.m.s[0].x = 7\ndel _base_.q\n\
                     t = _base_.p[:2] + [9]\n_base_.m.pop('missing')\nu = _base_['m']['h']['k']\n_base_.m.new = dict(z=1)\n\
                     _base_.m.new.z = 2";
        let expected = json!({"m": {"h": {"n": 5, "k": 2}, "s": [{"x": 7}], "new": {"z": 2}}, "p": [1, 2, 3],
            "q2": {"n": 5, "k": 2}, "t": [1, 2, 9], "u": 2});
        assert_eq!(over(base, child), expected);
    }

    #[test]
    fn update_is_deep_for_the_base_and_shallow_for_own_dicts() {
        let child =
            "a = dict(x=dict(p=1))\na.update(x=dict(q=2))\nb = _base_.b\nb.update(x=dict(q=2))";
        let expected = json!({"b": {"x": {"p": 1, "q": 2}}, "a": {"x": {"q": 2}}});
        assert_eq!(over("b = dict(x=dict(p=1))", child), expected);
    }

    #[test]
    fn placeholders_of_the_base_stand_for_values() {
        let child = "a = {{_base_.l}}\nb = dict(x={{ _base_.d.y }} * 2)\nc = '{{_base_.d.y}}/z'\nd2 = '{{_base_.d}}'\na.append(9)";
        let found = over("l = [1]\nd = dict(y=3)", child);
        assert_eq!(found["l"], json!([1]));
        assert_eq!(found["a"], json!([1, 9]));
        assert_eq!(found["b"], json!({"x": 6}));
        assert_eq!(found["c"], json!("3/z"));
        assert_eq!(found["d2"], json!({"y": 3}));
    }

    #[test]
    fn private_names_stay_and_dunder_names_go() {
        assert_eq!(
            values("_a = 1\n__b = 2\nc: int = _a\nx, y = 1, (2)"),
            json!({"_a": 1, "c": 1, "x": 1, "y": 2})
        );
    }

    #[test]
    fn what_is_not_in_the_language_is_refused_by_name_and_line() {
        for (text, words) in [
            (
                "a = 1\n\ndef f():\n    pass",
                "line 3: function definitions are not part of the config language",
            ),
            (
                "while 1:\n    a = 1",
                "line 1: `while` statements are not part of the config language",
            ),
            ("try:\n    a = 1\nexcept E:\n    pass", "`try` statements"),
            ("if 1:\n    def f(): pass", "line 2: function definitions"),
            ("a = 1\nbreak", "line 2: `break` and `continue` outside a loop"),
            ("class A: pass", "class definitions"),
            ("a = lambda: 1", "lambdas are not part"),
            ("a = {1, 2}", "sets are not part"),
            ("a = open('x')", "calls of `open` are not part"),
            ("a = (b := 1)", "assignments inside expressions"),
            ("a = 1 << 3", "bit operations"),
            ("a = [1, 2]\na[0:1] = [3]", "line 2: changes of slices are not part"),
            ("a = [1, 2]\ndel a[0:1]", "line 2: changes of slices are not part"),
            ("a, *b = [1, 2]", "targets with `*` are not part"),
            ("a = 'abc'.find('b', 1)", "`.find()` with positions"),
            ("a = dict(x=1, y=2, x=3)", "line 1: argument `x` is given twice"),
            ("a = dict(x=1, **{'x': 3})", "line 1: argument `x` is given twice"),
        ] {
            let message = error(text);
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn mistakes_name_the_line_and_the_nearest_name() {
        for (text, words) in [
            (
                "epochs = 1\n\nb = epoch",
                "a.py, line 3: name `epoch` is not defined (did you mean `epochs`?)",
            ),
            (
                "a = dict(depth=1)\nb = a['dept']",
                "line 2: the dict has no key `dept` (did you mean `depth`?)",
            ),
            ("a = dict(x=1)\nb = a.x", "write `['x']`"),
            ("a = [1]\nb = a[3]", "line 2: index 3: expected one of 1 items"),
            ("a = 1 + 'x'", "`+`: expected values that it can join, found int and str"),
            ("a = 1 // 0", "expected a divisor other than 0"),
            ("a = len", "function `len`: expected a call"),
            ("a = [1].apend(2)", "a list has no key `apend()` (did you mean `append()`?)"),
            ("a = dict(\n  x=1,\n  y=z)", "line 3: name `z`"),
            ("a = [1", "expected Python syntax"),
            ("a = 99999999999999999999", "integer: expected at most 64 bits"),
            ("filename = 'x'", "line 1: key `filename` is reserved"),
        ] {
            let message = error(text);
            assert!(message.contains(words), "{message}");
        }
        let message = error_over("model = 1", "a = _base_.modle");
        assert!(
            message.contains("a.py, line 2: the dict has no key `modle` (did you mean `model`?)"),
            "{message}"
        );
    }

    #[test]
    fn bombs_are_errors_at_once() {
        let doubling = format!("a = [0] * 10\n{}", "a = [a] * 10\n".repeat(12));
        let nested =
            "a = [x for x in range(3000) for y in range(3000) for z in range(3000)]".to_owned();
        let deep = format!("a = []\n{}", "a = [a]\n".repeat(1000));
        let chain = format!("a = {}1", "1+".repeat(200_000));
        let broken_chain = format!("a = {}", "1+".repeat(200_000));
        let brackets = format!("a = {}", "[".repeat(200_000));
        let blocks: String = (0..400).map(|i| format!("{}if 1:\n", " ".repeat(i))).collect();
        for text in [
            &blocks,
            "a = 'x'.ljust(10**12)",
            "a = '%99999999999d' % 1",
            "a = '{:>99999999999}'.format(1)",
            "for i in range(3000):\n    for j in range(3000):\n        a = i",
            "a = [1]\nfor x in range(99):\n    a += a",
            "a = 'a' * 10**12",
            "a = [0] * 10**12",
            "a = 10 ** 10 ** 10",
            "a = range(10**15)",
            "for c in 'a' * 30000000: pass",
            "a = ['a' * 20000000] * 1000",
            "a = 'a' * 20000000\nb = [('b' in a) for i in range(99999)]",
            "a = 'a' * 20000000\nb = [a[0] for i in range(99999)]",
            "a = 'a' * 20000000\nb = [a == a + '' for i in range(99999)]",
            "a = {i: i for i in range(99999)}\nfor i in range(99999):\n    del a[i]",
            "a = list(range(99999))\nfor i in range(99999):\n    a.pop(0)",
            "a = [1]\na.append(a)",
            "a = f'{1:99999999999}'",
            "a = ''\nb = a * 2**62 + 'x' * 2**40",
            "a = 'aaaaaaaaaaaaaaaa'.replace('a', 'b' * 9999999)",
            "a = 2.0 ** 99999",
            "a = list(range(100000))\nfor i in range(100000):\n    a.sort(reverse=True)",
            "a = ['a' * 10] * 100000\nfor i in range(100000):\n    a.sort()",
            "a = ' ' * 100000 + '5'\nfor i in range(100000):\n    int(a)",
            "a = '1' * 100000\nfor i in range(100000):\n    float(a)",
            "import os\na = '../' * 30000\nfor i in range(100000):\n    os.path.normpath(a)",
            "import os\na = 'a' * 100000\nfor i in range(100000):\n    os.getenv(a)",
            "a = {'a' * i: i for i in range(3000)}\nfor i in range(100000):\n    a == a",
            "a = {'a' * 100000: 1}\nfor i in range(100000):\n    b = {**a}",
            &doubling,
            &nested,
            &deep,
            &chain,
            &broken_chain,
            &brackets,
        ] {
            let message = error(text);
            assert!(message.starts_with("a.py, line"), "{message}");
        }
    }

    #[test]
    fn the_base_expression_sees_no_names() {
        assert!(error("x = 'b.py'\n_base_ = x").contains("line 2: name `x` is not defined"));
        assert!(error("_base_ = 3").contains("`_base_`: expected a path or a list of paths"));
        assert!(error("_base_ = []\n_base_ = []").contains("found a second one"));
    }
}
