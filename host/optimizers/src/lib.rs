//! What a config says of the optimizer: its kind and numbers, which of them each parameter gets, how gradients are
//! clipped and added up, and in which precision the model computes. Knows nothing of libtorch; the updates themselves are
//! in `snaphook-runner`.
//!
//! ```text
//! optim_wrapper ─► WrapperSettings ─┬─ Optimizer ─► Hyper, the numbers of an update
//!                                   ├─ Paramwise ─► a Hyper for each parameter
//!                                   ├─ ClipGrad
//!                                   └─ Precision
//! ```
//!
//! ```
//! use snaphook_optimizers::{Optimizer, UpdateRule};
//!
//! let config = serde_json::json!({"type": "SGD", "lr": 0.02, "momentum": 0.9, "nesterov": true});
//! let sgd = Optimizer::read(&config, "optim_wrapper.optimizer")?;
//! assert_eq!((sgd.hyper().learning_rate, sgd.hyper().momentum), (0.02, 0.9));
//! assert_eq!(sgd.hyper().rule, UpdateRule::Sgd { dampening: 0.0, nesterov: true });
//! # Ok::<(), snaphook_components::ComponentError>(())
//! ```

mod auto_scale;
mod clip;
mod hyper;
mod optimizer;
mod paramwise;
mod settings;
mod wrapper;

pub use auto_scale::AutoScale;
pub use clip::ClipGrad;
pub use hyper::{Hyper, UpdateRule};
pub use optimizer::Optimizer;
pub use paramwise::{Parameter, ParameterSettings, Paramwise};
pub use wrapper::{AmpSettings, LossScale, Precision, WrapperSettings};

use snaphook_components::Declared;

/// Everything of an `optim_wrapper` that a config can name, for a catalog of components.
pub fn declared() -> Vec<Declared> {
    let mut all = optimizer::declared();
    all.extend(clip::declared());
    all.extend(paramwise::declared());
    all.extend(wrapper::declared());
    all
}
