//! The data set that really holds annotations; CocoDataset and VOCDataset differ only in how they read them.
//! Knows nothing of annotation formats.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Dataset, DatasetMeta, Draw};
use crate::cache::ImageCache;
use crate::kwargs::Kwargs;
use crate::transform::Pipeline;
use crate::{DataError, ImageRecord, Sample};

/// Annotated pictures with a pipeline.
#[derive(Debug, Clone)]
pub struct AnnotatedImages {
    name: &'static str,
    records: Arc<[Arc<ImageRecord>]>,
    meta: Arc<DatasetMeta>,
    pipeline: Pipeline,
    images: Arc<ImageCache>,
    is_test_mode: bool,
}

/// The keywords that all such data sets have.
pub(super) struct LeafConfig<'a> {
    pub(super) ann_file: PathBuf,
    pub(super) data_root: PathBuf,
    pub(super) prefixes: Prefixes,
    pub(super) meta: DatasetMeta,
    pub(super) filter: Filter,
    pub(super) is_test_mode: bool,
    pipeline: Pipeline,
    indices: Option<&'a Value>,
    cache_bytes: usize,
}

/// `data_prefix`, already below `data_root`.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    pub(super) img: PathBuf,
    pub(super) sub_data_root: Option<PathBuf>,
}

/// `filter_cfg`.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Filter {
    pub(super) filter_empty_gt: bool,
    pub(super) min_size: usize,
    pub(super) bbox_min_size: Option<f32>,
}

/// Joins as MMEngine does: an absolute path or an empty root leaves the path as it is.
fn below(root: &Path, path: &str) -> PathBuf {
    if path.is_empty() { root.to_owned() } else { root.join(path) }
}

const MEBIBYTE: usize = 1 << 20;
const DEFAULT_CACHE_MIB: usize = 256;

impl<'a> LeafConfig<'a> {
    pub(super) fn read(
        kwargs: &mut Kwargs<'a>,
        default_classes: &[&str],
    ) -> Result<Self, DataError> {
        let owner = kwargs.owner().to_owned();
        let data_root = PathBuf::from(kwargs.get("data_root", String::new())?);
        let ann_file: String = kwargs.required("ann_file")?;
        let is_test_mode = kwargs.get("test_mode", false)?;
        // Evaluation reads each picture once: keeping them would only cost memory.
        let default_cache = if is_test_mode { 0 } else { DEFAULT_CACHE_MIB };
        kwargs.only("backend_args", &[json!({"backend": "local"})])?;
        kwargs.only("file_client_args", &[])?;
        kwargs.only("proposal_file", &[])?;
        kwargs.only("return_classes", &[json!(false)])?;
        kwargs.ignore(&[
            "lazy_init",
            "serialize_data",
            "max_refetch",
            "seg_map_suffix",
            "caption_prompt",
        ]);
        let pipeline = kwargs.value("pipeline").unwrap_or(&Value::Null);
        Ok(Self {
            ann_file: below(&data_root, &ann_file),
            prefixes: Prefixes::read(kwargs, &data_root)?,
            data_root,
            meta: DatasetMeta::from_config(&owner, kwargs.value("metainfo"), default_classes)?,
            filter: Filter::read(kwargs)?,
            is_test_mode,
            pipeline: Pipeline::without_mixing(&format!("{owner}.pipeline"), pipeline)?,
            indices: kwargs.value("indices"),
            cache_bytes: kwargs.get("image_cache_mib", default_cache)? * MEBIBYTE,
        })
    }

    /// The data set of records that were read with this configuration.
    pub(super) fn finish(
        self,
        name: &'static str,
        records: Vec<ImageRecord>,
    ) -> Result<AnnotatedImages, DataError> {
        let records: Vec<_> = records.into_iter().map(Arc::new).collect();
        let records = match self.indices {
            None => records,
            Some(indices) => subset(name, &records, indices)?,
        };
        if records.is_empty() {
            return Err(DataError::annotations(
                &self.ann_file,
                "no pictures are left to use (look at filter_cfg)",
            ));
        }
        Ok(AnnotatedImages {
            name,
            records: records.into(),
            meta: Arc::new(self.meta),
            pipeline: self.pipeline,
            images: Arc::new(ImageCache::new(self.cache_bytes)),
            is_test_mode: self.is_test_mode,
        })
    }
}

impl Prefixes {
    fn read(kwargs: &mut Kwargs, data_root: &Path) -> Result<Self, DataError> {
        let none = json!({});
        let value = kwargs.value("data_prefix").unwrap_or(&none);
        let mut parts = Kwargs::of_object(format!("{}.data_prefix", kwargs.owner()), value)?;
        let img = parts.get("img", String::new())?;
        let sub: Option<String> = parts.optional("sub_data_root")?;
        parts.ignore(&["img_path", "seg"]);
        parts.finish()?;
        Ok(Self { img: below(data_root, &img), sub_data_root: sub.map(|s| below(data_root, &s)) })
    }
}

impl Filter {
    fn read(kwargs: &mut Kwargs) -> Result<Self, DataError> {
        let Some(value) = kwargs.value("filter_cfg") else { return Ok(Self::default()) };
        let mut parts = Kwargs::of_object(format!("{}.filter_cfg", kwargs.owner()), value)?;
        let filter = Self {
            filter_empty_gt: parts.get("filter_empty_gt", false)?,
            min_size: parts.get("min_size", 0)?,
            bbox_min_size: parts.optional("bbox_min_size")?,
        };
        parts.finish()?;
        Ok(filter)
    }
}

/// `indices`: the first n, the last n, or a list.
fn subset(
    name: &str,
    records: &[Arc<ImageRecord>],
    indices: &Value,
) -> Result<Vec<Arc<ImageRecord>>, DataError> {
    let wrong = || {
        DataError::config(
            format!("{name}.indices"),
            format!(
                "expected a number or a list of 0 to {}, found {indices}",
                records.len().saturating_sub(1)
            ),
        )
    };
    let count = records.len();
    match indices {
        Value::Number(n) => {
            let n = n.as_i64().ok_or_else(wrong)?;
            let size = usize::try_from(n.unsigned_abs()).unwrap_or(count).min(count);
            Ok(if n >= 0 { records[..size].to_vec() } else { records[count - size..].to_vec() })
        }
        Value::Array(list) => list
            .iter()
            .map(|i| i.as_u64().and_then(|i| records.get(i as usize)).cloned().ok_or_else(wrong))
            .collect(),
        _ => Err(wrong()),
    }
}

impl AnnotatedImages {
    /// The type name, such as `CocoDataset`.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl Dataset for AnnotatedImages {
    fn len(&self) -> usize {
        self.records.len()
    }

    fn record(&self, index: usize) -> &Arc<ImageRecord> {
        &self.records[index]
    }

    fn meta(&self) -> &DatasetMeta {
        &self.meta
    }

    fn is_test_mode(&self) -> bool {
        self.is_test_mode
    }

    fn sample(&self, index: usize, draw: &mut Draw) -> Result<Option<Sample>, DataError> {
        let sample = Sample::from_record(self.records[index].clone());
        self.pipeline.run(sample, &mut draw.rng, &self.images)
    }

    fn with_skip_types(&self, types: &[String]) -> Arc<dyn Dataset> {
        Arc::new(Self { pipeline: self.pipeline.skipping(types), ..self.clone() })
    }

    fn with_pipeline(&self, pipeline: &Value) -> Result<Arc<dyn Dataset>, DataError> {
        let pipeline = Pipeline::without_mixing(&format!("{}.pipeline", self.name), pipeline)?;
        Ok(Arc::new(Self { pipeline, ..self.clone() }))
    }
}
