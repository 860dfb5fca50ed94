//! Data sets, their pipelines and samplers. Knows nothing of what transforms do.

use super::{ids, wrong, Data, ServiceResult};
use serde_json::{json, Value as Json};

impl Data<'_> {
    /// What the data set of a split (`train`, `val`, `test`) says of itself, such as `classes`.
    pub fn meta(&self, split: &str) -> ServiceResult<Json> {
        self.host.call(ids::DATA, "meta", &json!({ "split": split }))
    }

    /// The names of the metrics that [`Hook::after_val_epoch`](crate::Hook::after_val_epoch) will see, in their order; `None` where
    /// they are not known before a validation, or there is none.
    pub fn metric_names(&self) -> ServiceResult<Option<Vec<String>>> {
        match self.host.call(ids::DATA, "metric_names", &json!({}))? {
            Json::Null => Ok(None),
            Json::Array(names) => {
                let text = |name: &Json| name.as_str().map(str::to_owned);
                Ok(Some(names.iter().filter_map(text).collect()))
            }
            found => Err(wrong("data.metric_names", "an array", &found)),
        }
    }

    /// Tells the training sampler which epoch comes.
    pub fn set_epoch(&self, epoch: u64) -> ServiceResult<()> {
        self.host.call(ids::DATA, "set_epoch", &json!({ "epoch": epoch })).map(drop)
    }

    /// Leaves out the transforms of these types from the next epoch on.
    pub fn skip_transforms(&self, types: &[impl AsRef<str>]) -> ServiceResult<()> {
        let types: Vec<&str> = types.iter().map(AsRef::as_ref).collect();
        self.host.call(ids::DATA, "skip_transforms", &json!({ "types": types })).map(drop)
    }

    /// Replaces the training pipeline from the next epoch on.
    pub fn set_pipeline(&self, pipeline: Json) -> ServiceResult<()> {
        self.host.call(ids::DATA, "set_pipeline", &json!({ "pipeline": pipeline })).map(drop)
    }

    /// Makes the pictures of the training another size, (width, height), from the next epoch on: in every part of the data
    /// set the transforms `Resize` and `MixUp` get it in place of their own, also those of a pipeline that comes into force
    /// later. What [`Data::skip_transforms`] leaves out stays left out.
    ///
    /// Errors: a side of 0; data whose samples have no size.
    pub fn set_scale(&self, (width, height): (u64, u64)) -> ServiceResult<()> {
        self.host.call(ids::DATA, "set_scale", &json!({ "scale": [width, height] })).map(drop)
    }

    /// The training pipelines that are in force, one for each part of the data set: arrays of transforms as configs write
    /// them, without those that are left out, with the size that was set.
    pub fn pipelines(&self) -> ServiceResult<Vec<Json>> {
        match self.host.call(ids::DATA, "pipelines", &json!({}))? {
            Json::Array(pipelines) => Ok(pipelines),
            found => Err(wrong("data.pipelines", "an array", &found)),
        }
    }
}
