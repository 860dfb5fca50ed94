//! `DetTTAModel`: a detector that looks at several views of each picture.
//! Knows nothing of the detector, nor of how views are made.
//!
//! Source: MMDetection 3.3.0 `models/test_time_augs/det_tta.py`.

use serde_json::Value as Json;
use snaphook_components::{read, vision as declared};
use snaphook_data::image::FlipDirection;
use snaphook_data::{Batch, Detection, Sample, SampleMeta};
use snaphook_runner::{
    AnyBatch, AnyPredictions, BoxError, Losses, Model, ModelState, ModuleInfo, StepContext,
};
use tch::Device;

use super::build::build_at;
use super::detector::pictures_of;
use crate::boxes::Corners;
use crate::nms::Suppression;
use crate::{BuildError, ModelError, Predictions};

/// The detector, and how boxes are put together.
pub(super) struct TtaModel {
    module: Box<dyn Model>,
    suppression: Suppression,
    most: usize,
    device: Device,
}

impl TtaModel {
    pub(super) fn build(value: &Json, path: &str, device: Device) -> Result<TtaModel, BuildError> {
        let declared: declared::DetTtaModel = read(value, path)?;
        let below = |key: &str| format!("{path}.{key}");
        let mut module = declared.module;
        if let Some(preprocessor) = declared.data_preprocessor {
            module["data_preprocessor"] = preprocessor;
        }
        let settings: declared::TtaCfg = read(&declared.tta_cfg, &below("tta_cfg"))?;
        Ok(TtaModel {
            module: build_at(&module, &below("module"), device)?,
            suppression: Suppression::read(&settings.nms, &below("tta_cfg.nms"))?,
            most: settings.max_per_img,
            device,
        })
    }

    /// What is found in a view of each picture, in the coordinates of the picture as it is stored.
    fn look(&mut self, samples: Vec<Sample>, index: u64) -> Result<Predictions, BoxError> {
        let metas: Vec<SampleMeta> = samples.iter().map(|sample| sample.meta.clone()).collect();
        let batch: AnyBatch = Box::new(Batch { samples, index });
        let found = self.module.predict(&batch)?.downcast::<Predictions>();
        let mut found = *found.map_err(|_| ModelError::ForeignPredictions)?;
        for (picture, meta) in found.0.iter_mut().zip(metas) {
            let mirrored = |found: &mut Detection| found.bbox = turned_back(found.bbox, &meta);
            picture.detections.iter_mut().for_each(mirrored);
        }
        Ok(found)
    }
}

/// The first views of all samples, their second ones, and so on.
fn by_view(samples: &[Sample]) -> Vec<Vec<Sample>> {
    let mut all: Vec<Vec<Sample>> = vec![Vec::new()];
    for sample in samples {
        let mut first = sample.clone();
        let others = std::mem::take(&mut first.views);
        all.resize_with(all.len().max(1 + others.len()), Vec::new);
        all.iter_mut().zip(std::iter::once(first).chain(others)).for_each(|(v, own)| v.push(own));
    }
    all
}

/// Boxes of a mirrored picture, as they lie on the picture itself.
fn turned_back([x1, y1, x2, y2]: Corners, meta: &SampleMeta) -> Corners {
    let [height, width] = meta.ori_shape.map(|side| side as f32);
    match meta.flip_direction {
        None => [x1, y1, x2, y2],
        Some(FlipDirection::Horizontal) => [width - x2, y1, width - x1, y2],
        Some(FlipDirection::Vertical) => [x1, height - y2, x2, height - y1],
        Some(FlipDirection::Diagonal) => [width - x2, height - y2, width - x1, height - y1],
    }
}

impl Model for TtaModel {
    fn state(&self) -> &ModelState {
        self.module.state()
    }

    fn set_training(&mut self, training: bool) {
        self.module.set_training(training);
    }

    fn init_weights(&mut self, seed: u64) -> Result<(), BoxError> {
        self.module.init_weights(seed)
    }

    fn loss(&mut self, _: &AnyBatch, _: &StepContext) -> Result<Losses, BoxError> {
        Err("DetTTAModel predicts only (train its module)".into())
    }

    fn predict(&mut self, batch: &AnyBatch) -> Result<AnyPredictions, BoxError> {
        let batch: &Batch = pictures_of(batch)?;
        let mut views = by_view(&batch.samples).into_iter();
        let mut all = self.look(views.next().unwrap_or_default(), batch.index)?.0;
        for samples in views {
            let found = self.look(samples, batch.index)?.0;
            for (picture, more) in all.iter_mut().zip(found) {
                picture.detections.extend(more.detections);
            }
        }
        let found = all.iter_mut().map(|picture| std::mem::take(&mut picture.detections)).collect();
        let kept = self.suppression.apply_all(found, self.device);
        for (picture, mut detections) in all.iter_mut().zip(kept) {
            detections.truncate(self.most);
            picture.detections = detections;
        }
        Ok(Box::new(Predictions(all)))
    }

    fn modules(&self) -> Vec<ModuleInfo> {
        self.module.modules()
    }

    fn set_attribute(&mut self, module: &str, name: &str, value: &Json) -> Result<(), BoxError> {
        self.module.set_attribute(module, name, value)
    }

    fn call(&mut self, method: &str, arguments: &Json) -> Result<Json, BoxError> {
        self.module.call(method, arguments)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use snaphook_data::{ImageId, ImageRecord};

    use super::*;
    use crate::PicturePredictions;

    fn sample(direction: Option<FlipDirection>) -> Sample {
        let (img_id, img_path) = (ImageId::Number(1), "a.jpg".into());
        let record =
            ImageRecord { img_id, img_path, width: 10, height: 20, instances: vec![], label: None };
        let mut sample = Sample::from_record(Arc::new(record));
        sample.meta.flip_direction = direction;
        sample
    }

    /// Finds what its pictures' mirroring says: a box on the left of each picture as it is given.
    struct Left(ModelState);

    impl Model for Left {
        fn state(&self) -> &ModelState {
            &self.0
        }
        fn set_training(&mut self, _: bool) {}
        fn init_weights(&mut self, _: u64) -> Result<(), BoxError> {
            Ok(())
        }
        fn loss(&mut self, _: &AnyBatch, _: &StepContext) -> Result<Losses, BoxError> {
            Ok(Losses::default())
        }
        fn predict(&mut self, batch: &AnyBatch) -> Result<AnyPredictions, BoxError> {
            let one = |sample: &Sample| {
                let score = if sample.meta.flip_direction.is_some() { 0.5 } else { 0.25 };
                let detections = vec![Detection { bbox: [1.0, 2.0, 4.0, 8.0], score, label: 0 }];
                PicturePredictions { img_id: sample.meta.img_id.clone(), detections }
            };
            Ok(Box::new(Predictions(pictures_of(batch)?.samples.iter().map(one).collect())))
        }
        fn modules(&self) -> Vec<ModuleInfo> {
            Vec::new()
        }
        fn set_attribute(&mut self, _: &str, _: &str, _: &Json) -> Result<(), BoxError> {
            Ok(())
        }
        fn call(&mut self, _: &str, _: &Json) -> Result<Json, BoxError> {
            Ok(json!(null))
        }
    }

    fn found(directions: &[Option<FlipDirection>], most: usize) -> Vec<([f32; 4], f32)> {
        let module = Box::new(Left(snaphook_runner::Scope::root(Device::Cpu).finish()));
        let mut model =
            TtaModel { module, suppression: Suppression::hard(0.5), most, device: Device::Cpu };
        let mut views = directions.iter().map(|direction| sample(*direction));
        let mut first = views.next().unwrap();
        first.views = views.collect();
        let batch: AnyBatch = Box::new(Batch { samples: vec![first.clone(), first], index: 0 });
        let mut all = model.predict(&batch).unwrap().downcast::<Predictions>().unwrap().0;
        assert_eq!(all.len(), 2);
        assert_eq!(all[0], all[1]);
        all.remove(0).detections.into_iter().map(|found| (found.bbox, found.score)).collect()
    }

    #[test]
    fn boxes_of_all_views_are_turned_back_and_put_together() {
        let horizontal = Some(FlipDirection::Horizontal);
        let plain = ([1.0, 2.0, 4.0, 8.0], 0.25);
        assert_eq!(found(&[horizontal, None], 9), [([6.0, 2.0, 9.0, 8.0], 0.5), plain]);
        assert_eq!(found(&[horizontal, None], 1), [([6.0, 2.0, 9.0, 8.0], 0.5)]);
        assert_eq!(found(&[None, None], 9), [plain]);
        let vertical = Some(FlipDirection::Vertical);
        assert_eq!(found(&[vertical], 9), [([1.0, 12.0, 4.0, 18.0], 0.5)]);
        assert_eq!(found(&[Some(FlipDirection::Diagonal)], 9), [([6.0, 12.0, 9.0, 18.0], 0.5)]);
    }
}
