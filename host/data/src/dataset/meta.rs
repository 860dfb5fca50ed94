//! What a data set says about itself: its classes and their colours.
//! Knows nothing of pictures.

use serde::Serialize;
use serde_json::{Value, json};
use snaphook_components::{OneOrMany, data::Metainfo, plain_type, read};

use super::default_classes;
use crate::DataError;
use crate::image::class_colours;

/// Classes and colours, by MMDetection's names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetMeta {
    /// Names; a label is an index into them.
    pub classes: Vec<String>,
    /// Red, green, blue of each class.
    pub palette: Vec<[u8; 3]>,
    /// `VOC2007` or `VOC2012`, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset_type: Option<String>,
}

impl DatasetMeta {
    /// Classes with colours of our own choice.
    pub fn from_classes(classes: Vec<String>) -> Self {
        let palette = class_colours(classes.len()).iter().map(|[b, g, r]| [*r, *g, *b]).collect();
        Self { classes, palette, dataset_type: None }
    }

    /// What `metainfo` says; what it does not say comes from `default_classes`.
    pub(crate) fn of(metainfo: Option<Metainfo>, default_classes: &[&str]) -> Self {
        let (classes, palette) = metainfo.map_or((None, None), |meta| (meta.classes, meta.palette));
        let default = || default_classes.iter().map(|c| (*c).to_owned()).collect();
        let mut meta = Self::from_classes(classes.map_or_else(default, OneOrMany::into_list));
        if let Some(palette) = palette {
            meta.palette = palette.into_iter().map(<[u8; 3]>::from).collect();
        }
        meta
    }

    /// What the `metainfo` of a data set's dict says, or its type has of itself; `None` where both say nothing.
    ///
    /// Errors: a wrong `metainfo`.
    pub fn of_dict(dataset: &Value) -> Result<Option<Self>, DataError> {
        let metainfo = Some(&dataset["metainfo"]).filter(|value| !value.is_null());
        let metainfo: Option<Metainfo> =
            metainfo.map(|value| read(value, "metainfo")).transpose()?;
        let type_name = plain_type(dataset["type"].as_str().unwrap_or_default());
        let own = default_classes(type_name).unwrap_or_default();
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        Ok(Some(Self::of(metainfo, &own)).filter(|meta| !meta.classes.is_empty()))
    }

    /// As MMEngine's `dataset_meta`, to be stored in checkpoints.
    pub fn to_json(&self) -> Value {
        let mut value = json!({"classes": self.classes, "palette": self.palette});
        if let Some(kind) = &self.dataset_type {
            value["dataset_type"] = json!(kind);
        }
        value
    }

    /// Blue, green, red of a class for drawing.
    pub fn colour(&self, label: i64) -> [u8; 3] {
        let found = usize::try_from(label).ok().and_then(|i| self.palette.get(i));
        found.map_or([0, 200, 255], |[r, g, b]| [*b, *g, *r])
    }
}
