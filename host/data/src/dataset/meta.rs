//! What a data set says about itself: its classes and their colours.
//! Knows nothing of pictures.

use serde::Serialize;
use serde_json::{Value, json};

use crate::DataError;
use crate::image::class_colours;
use crate::kwargs::Kwargs;

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

    /// Reads `metainfo`; what it does not say comes from `default_classes`.
    pub(crate) fn from_config(
        owner: &str,
        value: Option<&Value>,
        default_classes: &[&str],
    ) -> Result<Self, DataError> {
        let empty = json!({});
        let mut kwargs = Kwargs::of_object(format!("{owner}.metainfo"), value.unwrap_or(&empty))?;
        let classes = match kwargs.value("classes") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(_)) => kwargs.required("classes")?,
            Some(_) => return Err(kwargs.wrong("classes", "expected a list of names".to_owned())),
            None => default_classes.iter().map(|c| (*c).to_owned()).collect(),
        };
        kwargs.check("classes", !classes.is_empty(), "expected at least one name".to_owned())?;
        let mut meta = Self::from_classes(classes);
        if let Some(palette) = kwargs.optional("palette")? {
            meta.palette = palette;
        }
        Ok(meta)
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
