//! The named tensors of a model: its parameters and buffers, in the order in which it made them.
//! Knows nothing of what the model computes.

use std::cell::RefCell;
use std::rc::Rc;

use tch::{Device, Kind, Tensor};

/// The layer that a tensor belongs to, as far as an optimizer must tell layers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A convolution, with the numbers that tell a depth-wise one.
    Convolution {
        /// Channels that come in.
        in_channels: i64,
        /// Groups of channels.
        groups: i64,
    },
    /// Batch, group, instance or layer normalisation.
    Norm,
    /// Everything else.
    Other,
}

/// What a tensor of a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Trained by the optimizer.
    Parameter(Layer),
    /// Carried along and saved, not trained: running means and the like.
    Buffer(Layer),
}

/// One tensor with its name.
#[derive(Debug)]
pub struct Entry {
    /// The name as MMDetection writes it: `backbone.stem.conv.conv.weight`.
    pub name: String,
    /// The tensor; shares its storage with the model's own.
    pub tensor: Tensor,
    /// Parameter or buffer, and of which layer.
    pub role: Role,
}

impl Entry {
    /// Whether the optimizer trains it.
    pub fn is_parameter(&self) -> bool {
        matches!(self.role, Role::Parameter(_))
    }
}

/// All tensors of a model, in the order in which they were made.
#[derive(Debug, Default)]
pub struct ModelState {
    entries: Vec<Entry>,
}

impl ModelState {
    /// Every tensor.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The tensors that are trained.
    pub fn parameters(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_parameter())
    }

    /// The tensor with this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.entries.iter().find(|entry| entry.name == name).map(|entry| &entry.tensor)
    }
}

/// Where a layer registers its tensors: a prefix and the state that they go into.
///
/// ```no_run
/// use snaphook_runner::{Layer, Scope};
/// let root = Scope::root(tch::Device::Cpu);
/// let stem = root.child("backbone").child("stem");
/// let layer = Layer::Convolution { in_channels: 3, groups: 1 };
/// let weight = stem.parameter("weight", &[8, 3, 3, 3], layer);
/// assert_eq!(root.finish().entries()[0].name, "backbone.stem.weight");
/// # drop(weight);
/// ```
#[derive(Clone, Debug)]
pub struct Scope {
    prefix: String,
    device: Device,
    state: Rc<RefCell<ModelState>>,
}

impl Scope {
    /// The scope of a whole model on `device`.
    pub fn root(device: Device) -> Scope {
        Scope { prefix: String::new(), device, state: Rc::default() }
    }

    /// The scope of a part: `child("stem")` of `backbone` is `backbone.stem`.
    pub fn child(&self, name: impl std::fmt::Display) -> Scope {
        Scope { prefix: self.join(name), device: self.device, state: Rc::clone(&self.state) }
    }

    /// Where tensors of this scope live.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The dotted name of this scope; empty for the root.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Registers a parameter of zeros, f32; the layer fills it.
    ///
    /// Shapes: as `size`.
    pub fn parameter(&self, name: &str, size: &[i64], layer: Layer) -> Tensor {
        let tensor = Tensor::zeros(size, (Kind::Float, self.device)).set_requires_grad(true);
        self.register(name, &tensor, Role::Parameter(layer));
        tensor
    }

    /// Registers a buffer with this value.
    pub fn buffer(&self, name: &str, value: Tensor, layer: Layer) -> Tensor {
        let tensor = value.to_device(self.device);
        self.register(name, &tensor, Role::Buffer(layer));
        tensor
    }

    /// Registers a tensor that was made elsewhere; both share its storage.
    pub fn adopt(&self, name: &str, tensor: &Tensor, role: Role) {
        self.register(name, tensor, role);
    }

    /// Everything registered so far, from this scope's whole model; later registrations start anew.
    pub fn finish(&self) -> ModelState {
        std::mem::take(&mut *self.state.borrow_mut())
    }

    fn register(&self, name: &str, tensor: &Tensor, role: Role) {
        let entry = Entry { name: self.join(name), tensor: tensor.shallow_clone(), role };
        self.state.borrow_mut().entries.push(entry);
    }

    fn join(&self, name: impl std::fmt::Display) -> String {
        if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) }
    }
}
