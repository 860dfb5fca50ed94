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
