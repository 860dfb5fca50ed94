//! Where averages lie: many tensors in a few long ones, so that an update is a handful of operations.
//! Knows nothing of how averages are made.

use tch::{Device, Kind, Tensor};

use crate::state::Entry;

/// Elements of a long tensor: enough that a few operations do for a small model, few enough that the copy of new values
/// stays small beside the model.
const LONG: i64 = 1 << 20;

/// Averages of some entries of a model, of one kind on one device.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) average: Tensor,
    entries: Vec<Slot>,
    sources: Vec<Tensor>,
    gathered: Option<Tensor>,
}

#[derive(Debug)]
struct Slot {
    name: String,
    /// Index in the model's entries.
    entry: usize,
    offset: i64,
    shape: Vec<i64>,
}

impl Slot {
    fn view(&self, flat: &Tensor) -> Tensor {
        flat.narrow(0, self.offset, self.shape.iter().product()).view(self.shape.as_slice())
    }
}

/// Places for the chosen entries, which start as copies.
pub(super) fn make_places(entries: &[Entry], is_chosen: impl Fn(&Entry) -> bool) -> Vec<Place> {
    let mut places: Vec<((Kind, Device), Vec<Slot>, i64)> = Vec::new();
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| is_chosen(entry)) {
        let key = (entry.tensor.kind(), entry.tensor.device());
        let length = entry.tensor.numel() as i64;
        let slot = |offset| Slot {
            name: entry.name.clone(),
            entry: index,
            offset,
            shape: entry.tensor.size(),
        };
        match places
            .iter_mut()
            .rev()
            .find(|(other, _, used)| *other == key && used + length <= LONG)
        {
            Some((_, slots, used)) => {
                slots.push(slot(*used));
                *used += length;
            }
            None => places.push((key, vec![slot(0)], length)),
        }
    }
    let place = |(key, slots, length)| Place {
        average: Tensor::zeros([length], key),
        entries: slots,
        sources: Vec::new(),
        gathered: None,
    };
    places.into_iter().map(place).collect()
}

impl Place {
    /// The model's values now, in the order of the average.
    pub(super) fn gather(&mut self, entries: &[Entry]) -> Tensor {
        self.refresh_sources(entries);
        if let [only] = &self.sources[..] {
            return only.shallow_clone();
        }
        let gathered = self.gathered.get_or_insert_with(|| self.average.empty_like());
        Tensor::cat_out(gathered, &self.sources, 0)
    }

    /// The averages with the index of their entry, in the entries' shapes; they share their memory with `average`.
    pub(super) fn views(&self) -> impl Iterator<Item = (usize, Tensor)> {
        self.entries.iter().map(|slot| (slot.entry, slot.view(&self.average)))
    }

    /// The averages with the name of their entry.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, Tensor)> {
        self.entries.iter().map(|slot| (slot.name.as_str(), slot.view(&self.average)))
    }

    /// Flat views of the model's tensors are kept; one is made anew when its tensor has moved, or cannot be viewed flat.
    fn refresh_sources(&mut self, entries: &[Entry]) {
        let tensor = |slot: &Slot| &entries[slot.entry].tensor;
        self.sources.truncate(self.entries.len());
        for (index, slot) in self.entries.iter().enumerate() {
            let tensor = tensor(slot);
            let kept =
                self.sources.get(index).is_some_and(|view| view.data_ptr() == tensor.data_ptr());
            if kept && tensor.is_contiguous() {
                continue;
            }
            let view = tensor.detach().reshape([-1]);
            match self.sources.get_mut(index) {
                Some(old) => *old = view,
                None => self.sources.push(view),
            }
        }
    }
}
