//! Draws predicted boxes onto the original pictures.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use snaphook_data::image::{Drawn, draw_detections, read_image, saved_name};
use snaphook_data::{Batch, DatasetMeta, Detection, ImageId, Sample};
use snaphook_runner::{AnyBatch, AnyPredictions, BoxError, DrawRequest, Painter};

use crate::{ModelError, Predictions};

/// Writes one file per picture: `<name>_<step>.png`, or one with the picture's own name.
pub struct DetectionPainter {
    meta: DatasetMeta,
}

impl DetectionPainter {
    /// Names and colours of classes are those of `meta`.
    pub fn new(meta: DatasetMeta) -> DetectionPainter {
        DetectionPainter { meta }
    }

    fn drawn(&self, detection: &Detection) -> Drawn {
        let index = usize::try_from(detection.label).ok();
        let class = index.and_then(|index| self.meta.classes.get(index));
        let class = class.cloned().unwrap_or_else(|| detection.label.to_string());
        Drawn {
            bbox: detection.bbox,
            label_text: format!("{class} {:.2}", detection.score),
            colour: self.meta.colour(detection.label),
        }
    }

    fn draw_one(
        &self,
        sample: &Sample,
        detections: &[Detection],
        threshold: f64,
        path: PathBuf,
    ) -> Result<PathBuf, BoxError> {
        // The sample's own picture has been resized and padded; boxes are in pixels of the original.
        let mut image = read_image(&sample.meta.img_path)?;
        let shown = detections.iter().filter(|found| f64::from(found.score) >= threshold);
        // Of the classes of a whole picture, the best.
        let most = if sample.record.label.is_some() { 1 } else { usize::MAX };
        let mut boxes: Vec<Drawn> = shown.take(most).map(|found| self.drawn(found)).collect();
        // The best comes last, on top.
        boxes.reverse();
        draw_detections(&mut image, &boxes);
        match image.save(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(ModelError::Picture { path, source: source.into() }.into()),
        }
    }
}

/// The name of the picture's file; with its folders, where they are classes and names come again in each.
fn own_name(sample: &Sample) -> Option<OsString> {
    match (&sample.record.label, &sample.meta.img_id) {
        (Some(_), ImageId::Name(name)) => Some(OsString::from(name.replace('/', "_"))),
        _ => sample.meta.img_path.file_name().map(OsString::from),
    }
    .map(|name| saved_name(Path::new(&name)).into_os_string())
}

impl Painter for DetectionPainter {
    fn draw(
        &mut self,
        batch: &AnyBatch,
        predictions: &AnyPredictions,
        request: &DrawRequest,
    ) -> Result<Vec<PathBuf>, BoxError> {
        let batch: &Batch = batch.downcast_ref().ok_or(ModelError::ForeignBatch)?;
        let Predictions(pictures) =
            predictions.downcast_ref().ok_or(ModelError::ForeignPredictions)?;
        std::fs::create_dir_all(&request.folder).map_err(|source| ModelError::Picture {
            path: request.folder.clone(),
            source: source.into(),
        })?;
        let mut files = Vec::new();
        let pairs = batch.samples.iter().zip(pictures).take(request.most);
        for ((sample, picture), step) in pairs.zip(request.step..) {
            let path = match own_name(sample).filter(|_| request.keeps_names) {
                Some(own) => request.folder.join(own),
                None => request.folder.join(format!("{}_{step}.png", request.name)),
            };
            let threshold = request.score_threshold;
            files.push(self.draw_one(sample, &picture.detections, threshold, path)?);
        }
        Ok(files)
    }
}
