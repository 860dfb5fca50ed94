//! What can go wrong while a detector is built or used. Knows nothing of how it is reported.

use std::path::PathBuf;

use snaphook_components::ComponentError;
use snaphook_runner::BoxError;

/// A config that no model, data set or metric can be built from; names the key.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A component's dict that is wrong.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// A keyword that must be there.
    #[error("{path}: key {key:?} is missing")]
    MissingKey {
        /// Key path of the dict.
        path: String,
        /// The key.
        key: &'static str,
    },
    /// A value that is out of range or not supported.
    #[error("{path}: {message}")]
    Value {
        /// Key path of the value.
        path: String,
        /// What was expected and what was found.
        message: String,
    },
    /// Data set, pipeline or metric of this key.
    #[error("{path}: cannot be built")]
    Data {
        /// Key path of the dict.
        path: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
}

/// A model or one of its neighbours that was asked for something it cannot do.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The batch was made by another field.
    #[error("batch: expected pictures of snaphook-data, found something else")]
    ForeignBatch,
    /// The predictions were made by another field.
    #[error("predictions: expected boxes of a detector, found something else")]
    ForeignPredictions,
    /// The predictions could not be written.
    #[error("{}: {source}", path.display())]
    PredictionsFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A batch without a sample.
    #[error("batch: expected at least one picture, found none")]
    EmptyBatch,
    /// No part of this name.
    #[error("module {found:?}: the model has no such part (nearest: {nearest})")]
    NoSuchModule {
        /// The name asked for.
        found: String,
        /// The nearest part.
        nearest: String,
    },
    /// No attribute of this name that can be set.
    #[error("attribute {found:?} of {module}: cannot be set (attributes that can: {settable})")]
    NoSuchAttribute {
        /// The part.
        module: String,
        /// The name asked for.
        found: String,
        /// Names that can be set.
        settable: String,
    },
    /// The attribute takes another type.
    #[error("attribute {name:?} of {module}: expected {expected}, found {found}")]
    AttributeType {
        /// The part.
        module: String,
        /// The attribute.
        name: String,
        /// What it takes.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// No method of this name.
    #[error("method {0:?}: the model has none of this name")]
    NoSuchMethod(String),
    /// A label outside of the classes of the model.
    #[error("image {}: label {label}, but the model has {classes} classes (set num_classes)", picture.display())]
    LabelRange {
        /// The picture.
        picture: PathBuf,
        /// Its label.
        label: i64,
        /// `num_classes` of the head.
        classes: i64,
    },
    /// Trained weights that could not be had.
    #[error("{path}: trained weights cannot be loaded")]
    Pretrained {
        /// Key path of the `init_cfg`.
        path: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// A picture that could not be read again or written.
    #[error("picture {}: cannot be drawn", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: BoxError,
    },
}

impl ModelError {
    /// Nothing of this name can be set.
    pub(crate) fn no_attribute(module: &str, name: &str, settable: &str) -> ModelError {
        let (module, found) = (module.to_owned(), name.to_owned());
        ModelError::NoSuchAttribute { module, found, settable: settable.to_owned() }
    }
}
