//! Draws predicted boxes onto the original pictures, beside those of the annotations.
//!
//! Source: `DetLocalVisualizer.add_datasample` in `mmdet/visualization/local_visualizer.py`. Where we differ: annotated boxes
//! are those of the file also where the pipeline has loaded them before it resized the picture; of a picture without any
//! the left half is plain, as there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use snaphook_data::image::{Drawn, Image, draw_detections, read_image, saved_name};
use snaphook_data::{Batch, DatasetMeta, Detection, ImageId, ImageRecord, Sample};
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
        Drawn {
            bbox: detection.bbox,
            label_text: format!("{} {:.2}", self.class(detection.label), detection.score),
            colour: self.meta.colour(detection.label),
        }
    }

    fn class(&self, label: i64) -> String {
        let class = usize::try_from(label).ok().and_then(|index| self.meta.classes.get(index));
        class.cloned().unwrap_or_else(|| label.to_string())
    }

    /// What the annotations say: objects to find, or the class of the whole picture.
    fn truth(&self, record: &ImageRecord, [height, width]: [usize; 2]) -> Vec<Drawn> {
        let drawn = |bbox, label| Drawn {
            bbox,
            label_text: self.class(label),
            colour: self.meta.colour(label),
        };
        let objects = record.instances.iter().filter(|instance| !instance.ignore);
        let objects = objects.map(|instance| drawn(instance.bbox, instance.label));
        let whole = [0.0, 0.0, width as f32, height as f32];
        objects.chain(record.label.map(|label| drawn(whole, label))).collect()
    }

    fn draw_one(
        &self,
        sample: &Sample,
        detections: &[Detection],
        request: &DrawRequest,
        path: PathBuf,
    ) -> Result<PathBuf, BoxError> {
        // The sample's own picture has been resized and padded; boxes are in pixels of the original.
        let mut image = read_image(&sample.meta.img_path)?;
        let mut left = request.with_truth.then(|| image.clone());
        if let Some(left) = &mut left {
            draw_detections(left, &self.truth(&sample.record, left.shape()));
        }
        let shown =
            detections.iter().filter(|found| f64::from(found.score) >= request.score_threshold);
        // Of the classes of a whole picture, the best.
        let most = if sample.record.label.is_some() { 1 } else { usize::MAX };
        let mut boxes: Vec<Drawn> = shown.take(most).map(|found| self.drawn(found)).collect();
        // The best comes last, on top.
        boxes.reverse();
        draw_detections(&mut image, &boxes);
        if let Some(left) = left {
            image = beside(left, &image);
        }
        match image.save(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(ModelError::Picture { path, source: source.into() }.into()),
        }
    }
}

/// Two pictures of one size in one.
fn beside(left: Image, right: &Image) -> Image {
    let (width, height) = (left.width(), left.height());
    let mut both = left.padded(2 * width, height, [0; 3]);
    both.paste(right, width, 0);
    both
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
            files.push(self.draw_one(sample, &picture.detections, request, path)?);
        }
        Ok(files)
    }
}
