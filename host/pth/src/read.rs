//! From what a pickle has built to weights and what a checkpoint says of itself. Knows nothing of containers.

use std::path::Path;

use serde_json::{Map, Value as Json};

use crate::archive::Archive;
use crate::error::Fault;
use crate::machine::{Built, Item, Node, View};
use crate::{NamedTensors, Pth, PthError, Tensor};

/// Values inside values that `meta` may have; a reference to an outer value has no end.
const DEEPEST: usize = 32;
/// Values of `meta` in all: one that is used many times counts each time.
const MOST_VALUES: usize = 1 << 20;

/// Reads a `.pth` file: MMEngine's checkpoints, and a state dict alone or under `state_dict` or `model`.
///
/// Nothing of the file is run. Tensors that share numbers get their own; an entry that is no tensor is left out.
///
/// Errors: a file that cannot be read, that is none of PyTorch's or damaged; a name in it that may run code; no tensors.
pub fn read(path: &Path) -> Result<Pth, PthError> {
    let mut archive = Archive::open(path)?;
    let built = &archive.built;
    let top = dict(built, &built.root);
    let top = top.ok_or_else(|| Fault::new("a value that is no dict").at(path))?;
    let find = |name: &str| {
        let found = top.iter().find(|(key, _)| is_text(key, name));
        found.map(|(_, value)| value)
    };
    let weights = ["state_dict", "model"].into_iter().filter_map(find);
    let weights = weights.filter_map(|value| dict(built, value)).next().unwrap_or(top);
    let weights = views(built, weights);
    if weights.is_empty() {
        let keys = top.iter().filter_map(|(key, _)| text(key)).take(8).collect::<Vec<_>>();
        let found = format!("a dict with {}", keys.join(", "));
        return Err(PthError::NoWeights { path: path.to_owned(), found });
    }
    let mut budget = MOST_VALUES;
    let meta = find("meta").map_or(Json::Null, |meta| json(built, meta, (0, &mut budget)));
    let ema = find("ema_state_dict").and_then(|ema| dict(built, ema)).map(|ema| views(built, ema));
    let tensors =
        |archive: &mut Archive, views| load(archive, views).map_err(|fault| fault.at(path));
    let state_dict = tensors(&mut archive, weights)?;
    let ema = ema.map(|ema| tensors(&mut archive, ema)).transpose()?.map(split_steps);
    Ok(Pth { meta, state_dict, ema })
}

/// MMEngine's averaged model: `steps`, and the weights below `module.`.
fn split_steps(tensors: NamedTensors) -> (NamedTensors, u64) {
    let mut steps = 0;
    let mut weights = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        match name.strip_prefix("module.") {
            Some(name) => weights.push((name.to_owned(), tensor)),
            None if name == "steps" => {
                let bytes = tensor.data.first_chunk::<8>();
                steps = bytes.map_or(0, |bytes| i64::from_le_bytes(*bytes).max(0) as u64);
            }
            None => weights.push((name, tensor)),
        }
    }
    (weights, steps)
}

fn load(archive: &mut Archive, views: Vec<(String, View)>) -> Result<NamedTensors, Fault> {
    let mut tensors = Vec::with_capacity(views.len());
    let mut last: Option<(String, Vec<u8>)> = None;
    for (name, view) in views {
        // Tensors of one storage follow each other.
        let key = &view.storage.key;
        if last.as_ref().is_none_or(|(known, _)| known != key) {
            last = Some((key.clone(), archive.bytes(&view.storage)?));
        }
        let bytes = last.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        let data = gather(&view, bytes).ok_or_else(|| {
            Fault::new(format!("{name}: a tensor outside of its {} bytes", bytes.len()))
        })?;
        let (dtype, shape) = (view.storage.dtype, view.shape);
        tensors.push((name, Tensor { dtype, shape, data }));
    }
    Ok(tensors)
}

/// The numbers of a view, one after another; `None` where it does not fit into its storage.
fn gather(view: &View, bytes: &[u8]) -> Option<Vec<u8>> {
    let size = view.storage.dtype.size();
    let count = view.shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size))?;
    if count == 0 {
        return Some(Vec::new());
    }
    let steps = view.shape.iter().zip(&view.strides);
    let last = steps.clone().try_fold(view.offset, |last, (size, stride)| {
        last.checked_add((size - 1).checked_mul(*stride)?)
    })?;
    // A view that repeats numbers could be of any size.
    if last.checked_add(1)?.checked_mul(size)? > bytes.len() || count > bytes.len() / size {
        return None;
    }
    if is_contiguous(view) {
        return Some(bytes[view.offset * size..(view.offset + count) * size].to_vec());
    }
    let mut data = Vec::with_capacity(count * size);
    let mut index = vec![0; view.shape.len()];
    for _ in 0..count {
        let place: usize =
            index.iter().zip(&view.strides).map(|(index, stride)| index * stride).sum();
        let start = (view.offset + place) * size;
        data.extend_from_slice(&bytes[start..start + size]);
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            if index[axis] < view.shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Some(data)
}

fn is_contiguous(view: &View) -> bool {
    let mut expected = 1;
    view.shape.iter().zip(&view.strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == expected;
        expected *= size;
        fits
    })
}

fn views(built: &Built, dict: &[(Item, Item)]) -> Vec<(String, View)> {
    let view = |(key, value): &(Item, Item)| match value {
        Item::Node(index) => match &built.nodes[*index] {
            Node::Tensor(view) => Some((text(key)?.to_owned(), view.clone())),
            _ => None,
        },
        _ => None,
    };
    dict.iter().filter_map(view).collect()
}

fn dict<'a>(built: &'a Built, item: &Item) -> Option<&'a [(Item, Item)]> {
    match item {
        Item::Node(index) => match &built.nodes[*index] {
            Node::Dict(entries) => Some(entries),
            _ => None,
        },
        _ => None,
    }
}

fn text(item: &Item) -> Option<&str> {
    match item {
        Item::Text(text) => Some(text),
        _ => None,
    }
}

fn is_text(item: &Item, wanted: &str) -> bool {
    text(item) == Some(wanted)
}

/// A value as JSON; null where there is no such, where it is too deep, and where too much was used already.
fn json(built: &Built, item: &Item, (depth, budget): (usize, &mut usize)) -> Json {
    if depth > DEEPEST || *budget == 0 {
        return Json::Null;
    }
    *budget -= 1;
    match item {
        Item::Bool(value) => Json::from(*value),
        Item::Int(value) => Json::from(*value),
        Item::Float(value) => Json::from(*value),
        Item::Text(value) => Json::from(&**value),
        Item::None | Item::Global(_) | Item::Inert => Json::Null,
        Item::Node(index) => match &built.nodes[*index] {
            Node::List(items) | Node::Tuple(items) => {
                let mut values = Vec::new();
                for item in items {
                    values.push(json(built, item, (depth + 1, budget)));
                }
                Json::Array(values)
            }
            Node::Dict(entries) => {
                let mut map = Map::new();
                for (key, value) in entries {
                    if let Some(key) = text(key) {
                        map.insert(key.to_owned(), json(built, value, (depth + 1, budget)));
                    }
                }
                Json::Object(map)
            }
            Node::Storage(_) | Node::Tensor(_) => Json::Null,
        },
    }
}
