//! A child's values merged into its base's, as MMEngine does.
//!
//! Knows nothing of files or formats.
//! Source: `_merge_a_into_b` in MMEngine's `mmengine/config/config.py`.

use crate::error::Problem;
use crate::location::{At, Files};
use crate::tree::{Data, Entries, Key};

/// The key that makes a dict replace the base's instead of joining it.
pub(crate) const DELETE: &str = "_delete_";

/// Merges `child` into `base`: dicts join key by key, everything else replaces.
///
/// A dict with `_delete_=True` replaces what the base has under its key. Where the base has no such
/// key, `_delete_` stays in the result, as with MMEngine.
pub(crate) fn merge(
    base: &mut Entries,
    child: Entries,
    files: &Files,
) -> Result<(), (At, Problem)> {
    merge_below(base, child, files, &mut Vec::new())
}

fn merge_below(
    base: &mut Entries,
    child: Entries,
    files: &Files,
    path: &mut Vec<String>,
) -> Result<(), (At, Problem)> {
    for (key, mut node) in child {
        let (Data::Dict(entries), Some(old)) = (&mut node.data, base.get_mut(&key)) else {
            base.insert(key, node);
            continue;
        };
        if take_delete(entries) {
            *old = node;
            continue;
        }
        path.push(key.to_string());
        let Data::Dict(old_entries) = &mut old.data else {
            let found = old.data.type_name();
            let base = files.locate(old.at);
            return Err((node.at, Problem::Merge { key: path.join("."), found, base }));
        };
        merge_below(old_entries, std::mem::take(entries), files, path)?;
        old.at = node.at;
        path.pop();
    }
    Ok(())
}

/// Removes `_delete_` and tells whether it was true.
fn take_delete(entries: &mut Entries) -> bool {
    entries.shift_remove(&Key::from(DELETE)).is_some_and(|node| node.data.is_truthy())
}

#[cfg(test)]
mod tests {
    use crate::testing::{error_over, over};
    use serde_json::json;

    #[test]
    fn dicts_join_and_the_base_keeps_its_order() {
        let merged =
            over("a = dict(x=1, y=dict(p=1, q=2))\nb = 1", "c = 3\na = dict(z=3, y=dict(q=5))");
        assert_eq!(merged, json!({"a": {"x": 1, "y": {"p": 1, "q": 5}, "z": 3}, "b": 1, "c": 3}));
        assert_eq!(merged.to_string(), r#"{"a":{"x":1,"y":{"p":1,"q":5},"z":3},"b":1,"c":3}"#);
    }

    #[test]
    fn delete_replaces_the_base() {
        assert_eq!(over("a = dict(x=1)", "a = dict(_delete_=True, y=2)"), json!({"a": {"y": 2}}));
        assert_eq!(over("a = 1", "a = dict(_delete_=True, y=2)"), json!({"a": {"y": 2}}));
        let merged = over("a = dict(x=1)", "a = dict(_delete_=False, y=2)");
        assert_eq!(merged, json!({"a": {"x": 1, "y": 2}}));
    }

    #[test]
    fn delete_stays_where_nothing_could_be_deleted() {
        let child = "a = dict(_delete_=True, y=2)\nb = [dict(_delete_=True)]";
        let merged = json!({"b": [{"_delete_": true}], "a": {"_delete_": true, "y": 2}});
        assert_eq!(over("b = [1]", child), merged);
        let merged = over("a = dict(x=1)", "a = dict(_delete_=True, y=dict(_delete_=True))");
        assert_eq!(merged, json!({"a": {"y": {"_delete_": true}}}));
    }

    #[test]
    fn delete_works_wherever_a_shared_dict_is_used() {
        let child = "n = dict(_delete_=True, k=1)\na = dict(n=n)\nb = dict(n=n)";
        let merged = over("a = dict(n=dict(x=1))\nb = dict(n=dict(x=2))", child);
        assert_eq!(merged["a"], json!({"n": {"k": 1}}));
        assert_eq!(merged["b"], json!({"n": {"k": 1}}));
    }

    #[test]
    fn lists_and_scalars_replace() {
        let merged = over("a = [1, 2]\nb = dict(x=1)\nc = (1,)", "a = [3]\nb = 4\nc = None");
        assert_eq!(merged, json!({"a": [3], "b": 4, "c": null}));
    }

    #[test]
    fn a_dict_over_something_else_is_an_error_that_names_the_key_and_both_places() {
        assert_eq!(
            error_over("x = 1\na = dict(b=[1])", "a = dict(b=dict(c=1))"),
            "a.py, line 2: key `a.b`: expected a dict in the base, since it is a dict here, found a list \
             written at base.py, line 2 (set `_delete_=True` in it to replace what the base has)"
        );
    }

    #[test]
    fn names_derived_in_the_base_do_not_follow() {
        let merged = over("p = [1]\nd = dict(p=p)", "p = [2]");
        assert_eq!(merged, json!({"p": [2], "d": {"p": [1]}}));
    }
}
