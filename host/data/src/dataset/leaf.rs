//! The data set that really holds annotations; CocoDataset and VOCDataset differ only in how they read them.
//! Knows nothing of annotation formats.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use snaphook_components::data::{AnnotationFields, DataPrefix, FilterCfg};
use snaphook_components::{OneOrMany, read};

use super::draw::draw_usable_by;
use super::{Dataset, DatasetMeta, Draw};
use crate::cache::ImageCache;
use crate::storage::check_storage;
use crate::transform::{Pipeline, Surroundings};
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
pub(super) struct LeafConfig {
    pub(super) ann_file: PathBuf,
    /// Whether one was given.
    pub(super) has_ann_file: bool,
    pub(super) data_root: PathBuf,
    pub(super) prefixes: Prefixes,
    pub(super) meta: DatasetMeta,
    pub(super) filter: Filter,
    pub(super) is_test_mode: bool,
    pipeline: Pipeline,
    indices: Option<OneOrMany<i64>>,
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

impl LeafConfig {
    pub(super) fn new(
        owner: &str,
        fields: AnnotationFields,
        default_classes: &[&str],
    ) -> Result<Self, DataError> {
        check_storage(fields.backend_args.as_ref(), owner)?;
        let data_root = PathBuf::from(fields.data_root);
        // Evaluation reads each picture once: keeping them would only cost memory.
        let default_cache = if fields.test_mode { 0 } else { DEFAULT_CACHE_MIB };
        let nested = |key: &str| format!("{owner}.{key}");
        let filter = match &fields.filter_cfg {
            Some(value) => Filter::new(&read(value, &nested("filter_cfg"))?),
            None => Filter::default(),
        };
        let prefixes = match &fields.data_prefix {
            Some(value) => Prefixes::new(&read(value, &nested("data_prefix"))?, &data_root),
            None => Prefixes { img: data_root.clone(), sub_data_root: None },
        };
        let metainfo = fields.metainfo.as_ref();
        let metainfo = metainfo.map(|value| read(value, &nested("metainfo"))).transpose()?;
        let pipeline = Value::Array(fields.pipeline);
        Ok(Self {
            ann_file: below(&data_root, &fields.ann_file),
            has_ann_file: !fields.ann_file.is_empty(),
            prefixes,
            data_root,
            meta: DatasetMeta::of(metainfo, default_classes),
            filter,
            is_test_mode: fields.test_mode,
            pipeline: Pipeline::without_mixing(&nested("pipeline"), &pipeline)?,
            indices: fields.indices,
            cache_bytes: fields.image_cache_mib.unwrap_or(default_cache).saturating_mul(MEBIBYTE),
        })
    }

    /// Names that the files say, where `metainfo` says none; colours that it gives stay.
    pub(super) fn set_classes(&mut self, classes: Vec<String>) {
        let own = DatasetMeta::from_classes(classes);
        let palette = std::mem::take(&mut self.meta.palette);
        let is_given = palette.len() >= own.classes.len() && !palette.is_empty();
        self.meta = DatasetMeta { palette: if is_given { palette } else { own.palette }, ..own };
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
    fn new(declared: &DataPrefix, data_root: &Path) -> Self {
        let sub = declared.sub_data_root.as_ref();
        let sub_data_root = sub.map(|folder| below(data_root, folder));
        Self { img: below(data_root, &declared.img), sub_data_root }
    }
}

impl Filter {
    fn new(declared: &FilterCfg) -> Self {
        let FilterCfg { filter_empty_gt, min_size, bbox_min_size } = *declared;
        Self { filter_empty_gt, min_size, bbox_min_size }
    }
}

/// `indices`: the first n, the last n, or a list.
fn subset(
    name: &str,
    records: &[Arc<ImageRecord>],
    indices: OneOrMany<i64>,
) -> Result<Vec<Arc<ImageRecord>>, DataError> {
    let count = records.len();
    let wrong = |found: i64| {
        let last = count.saturating_sub(1);
        let reason = format!("expected a number or a list of 0 to {last}, found {found}");
        DataError::config(format!("{name}.indices"), reason)
    };
    match indices {
        OneOrMany::One(n) => {
            let size = usize::try_from(n.unsigned_abs()).unwrap_or(count).min(count);
            Ok(if n >= 0 { records[..size].to_vec() } else { records[count - size..].to_vec() })
        }
        OneOrMany::Many(list) => {
            let record = |i: i64| usize::try_from(i).ok().and_then(|i| records.get(i)).cloned();
            list.into_iter().map(|i| record(i).ok_or_else(|| wrong(i))).collect()
        }
    }
}

impl AnnotatedImages {
    /// Pictures that nothing is known of, for a test.
    pub(super) fn without_annotations(
        records: Vec<ImageRecord>,
        pipeline: &Value,
        meta: DatasetMeta,
    ) -> Result<Self, DataError> {
        let records: Vec<_> = records.into_iter().map(Arc::new).collect();
        Ok(Self {
            name: "pictures",
            records: records.into(),
            meta: Arc::new(meta),
            pipeline: Pipeline::without_mixing("pipeline", pipeline)?,
            images: Arc::new(ImageCache::new(0)),
            is_test_mode: true,
        })
    }

    /// The type name, such as `CocoDataset`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Carries a sample through the first `steps` of the pipeline. What a step mixes with it has gone through the
    /// steps before that one.
    fn through(
        &self,
        index: usize,
        steps: usize,
        draw: &mut Draw,
    ) -> Result<Option<Sample>, DataError> {
        let mut sample = Sample::from_record(self.records[index].clone());
        for (place, transform) in self.pipeline.active().enumerate().take(steps) {
            let mut partners = Vec::new();
            for partner in transform.partners(self, &mut draw.rng) {
                let made = |at: usize, draw: &mut Draw| self.through(at, place, draw);
                partners.extend(draw_usable_by(self, partner, draw, &made)?);
            }
            let mut around = Surroundings { rng: &mut draw.rng, images: &self.images, partners };
            match transform.apply(sample, &mut around)? {
                Some(changed) => sample = changed,
                None => return Ok(None),
            }
        }
        Ok(Some(sample))
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
        let sample = self.through(index, usize::MAX, draw)?;
        if sample.as_ref().is_some_and(|sample| sample.image.is_empty()) {
            // Nothing would be learnt from it, in silence.
            let reason =
                "expected a picture at its end, found none (is LoadImageFromFile missing?)";
            return Err(DataError::config(format!("{}.pipeline", self.name), reason));
        }
        Ok(sample)
    }

    fn with_skip_types(&self, types: &[String]) -> Arc<dyn Dataset> {
        Arc::new(Self { pipeline: self.pipeline.skipping(types), ..self.clone() })
    }

    fn with_pipeline(&self, pipeline: &Value) -> Result<Arc<dyn Dataset>, DataError> {
        let pipeline = Pipeline::without_mixing(&format!("{}.pipeline", self.name), pipeline)?;
        let pipeline = pipeline.in_place_of(&self.pipeline)?;
        Ok(Arc::new(Self { pipeline, ..self.clone() }))
    }

    fn with_scale(&self, scale: [u64; 2]) -> Result<Arc<dyn Dataset>, DataError> {
        Ok(Arc::new(Self { pipeline: self.pipeline.resized(scale)?, ..self.clone() }))
    }

    fn pipelines(&self) -> Vec<Vec<Value>> {
        vec![self.pipeline.entries()]
    }
}
