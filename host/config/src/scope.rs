//! Marks what comes from a package with `_scope_`, so that its `type` names are looked up there.
//!
//! Source: `_dict_to_config_dict` in MMEngine's `mmengine/config/config.py`.

use crate::tree::{Data, Entries, Key, Node};

const SCOPE: &str = "_scope_";

/// Adds `_scope_` to every outermost dict that has a `type` and no scope yet.
pub(crate) fn mark(entries: &mut Entries, package: &str) {
    entries.values_mut().for_each(|node| mark_node(node, package));
}

fn mark_node(node: &mut Node, package: &str) {
    match &mut node.data {
        Data::List(nodes) | Data::Tuple(nodes) => {
            nodes.iter_mut().for_each(|node| mark_node(node, package));
        }
        Data::Dict(entries) => match entries.get(&Key::from("type")) {
            None => mark(entries, package),
            Some(typed) => {
                let at = typed.at;
                let scope = entries.get(&Key::from(SCOPE));
                if scope.is_none_or(|scope| matches!(scope.data, Data::None)) {
                    entries.insert(Key::from(SCOPE), Node::new(at, Data::Str(package.into())));
                }
            }
        },
        _ => {}
    }
}
