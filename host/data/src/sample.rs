//! One training or validation example on its way through a pipeline, and the record it comes from.
//! Knows nothing of files and tensors.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::image::{FlipDirection, Image};

/// What identifies a picture in its data set: COCO has numbers, Pascal VOC has names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ImageId {
    /// A COCO image id.
    Number(i64),
    /// A name, as in Pascal VOC lists.
    Name(String),
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl From<i64> for ImageId {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// One annotated object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Instance {
    /// Left, top, right, bottom in pixels of the picture as it is stored.
    pub bbox: [f32; 4],
    /// Index of its class in the data set's classes.
    pub label: i64,
    /// Crowd or difficult: neither an object to find nor background.
    pub ignore: bool,
}

/// What the annotations say of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRecord {
    /// The id in the data set.
    pub img_id: ImageId,
    /// The file.
    pub img_path: PathBuf,
    /// Columns, as the annotations say.
    pub width: usize,
    /// Rows, as the annotations say.
    pub height: usize,
    /// The objects.
    pub instances: Vec<Instance>,
    /// Index of the picture's own class, in data sets that have classes and no boxes.
    pub label: Option<i64>,
}

impl ImageRecord {
    /// The classes that are in the picture, or its own.
    pub(crate) fn labels(&self) -> BTreeSet<i64> {
        self.instances.iter().map(|instance| instance.label).chain(self.label).collect()
    }
}

/// What a pipeline did to a picture, by MMDetection's names.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleMeta {
    /// The id in the data set.
    pub img_id: ImageId,
    /// The file.
    pub img_path: PathBuf,
    /// (height, width) as loaded.
    pub ori_shape: [usize; 2],
    /// (height, width) now.
    pub img_shape: [usize; 2],
    /// (horizontal, vertical) factor of the last `Resize`.
    pub scale_factor: [f32; 2],
    /// The factor that the picture had already when its boxes were loaded, so that they lack it: test pipelines load
    /// annotations after `Resize`, since metrics compare in the coordinates of the file.
    pub boxes_lack_scale: [f32; 2],
    /// Whether `RandomFlip` mirrored the picture.
    pub flip: bool,
    /// How it did.
    pub flip_direction: Option<FlipDirection>,
}

/// A picture with its boxes.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The picture; empty until it is loaded.
    pub image: Image,
    /// Left, top, right, bottom in pixels of `image`.
    pub boxes: Vec<[f32; 4]>,
    /// Class index of each box.
    pub labels: Vec<i64>,
    /// For each box: neither object nor background (crowd, difficult).
    pub ignore: Vec<bool>,
    /// What was done to the picture.
    pub meta: SampleMeta,
    /// The unchanged annotations.
    pub record: Arc<ImageRecord>,
    /// Other views of the same picture, by `TestTimeAug`, as many for each sample of a data set.
    pub views: Vec<Sample>,
}

impl Sample {
    /// The beginning of a pipeline: nothing is loaded yet.
    pub fn from_record(record: Arc<ImageRecord>) -> Self {
        let shape = [record.height, record.width];
        let meta = SampleMeta {
            img_id: record.img_id.clone(),
            img_path: record.img_path.clone(),
            ori_shape: shape,
            img_shape: shape,
            scale_factor: [1.0, 1.0],
            boxes_lack_scale: [1.0, 1.0],
            flip: false,
            flip_direction: None,
        };
        let (boxes, labels, ignore) = Default::default();
        let views = Vec::new();
        Self { image: Image::default(), boxes, labels, ignore, meta, record, views }
    }

    /// The boxes as they lie on the picture, also where annotations were loaded after it was resized.
    pub fn boxes_on_image(&self) -> Vec<[f32; 4]> {
        let [x, y] = self.meta.boxes_lack_scale;
        self.boxes.iter().map(|b| [b[0] * x, b[1] * y, b[2] * x, b[3] * y]).collect()
    }

    /// Replaces the picture and notes its shape.
    pub fn set_image(&mut self, image: Image) {
        self.meta.img_shape = image.shape();
        self.image = image;
    }

    /// Keeps the part of (x, y, width, height) of the picture, which must lie inside; boxes move along.
    pub fn crop(&mut self, [x, y, width, height]: [usize; 4]) {
        self.set_image(self.image.cropped(x, y, width, height));
        self.translate_boxes(-(x as f32), -(y as f32));
    }

    /// Multiplies all coordinates.
    pub fn rescale_boxes(&mut self, horizontal: f32, vertical: f32) {
        for [x1, y1, x2, y2] in &mut self.boxes {
            *x1 *= horizontal;
            *x2 *= horizontal;
            *y1 *= vertical;
            *y2 *= vertical;
        }
    }

    /// Moves all boxes.
    pub fn translate_boxes(&mut self, dx: f32, dy: f32) {
        for [x1, y1, x2, y2] in &mut self.boxes {
            *x1 += dx;
            *x2 += dx;
            *y1 += dy;
            *y2 += dy;
        }
    }

    /// Cuts all boxes at the rim of a picture of (height, width).
    pub fn clip_boxes(&mut self, [height, width]: [usize; 2]) {
        let (width, height) = (width as f32, height as f32);
        for [x1, y1, x2, y2] in &mut self.boxes {
            *x1 = x1.clamp(0.0, width);
            *x2 = x2.clamp(0.0, width);
            *y1 = y1.clamp(0.0, height);
            *y2 = y2.clamp(0.0, height);
        }
    }

    /// Mirrors all boxes within a picture of (height, width).
    pub fn flip_boxes(&mut self, [height, width]: [usize; 2], direction: FlipDirection) {
        let (width, height) = (width as f32, height as f32);
        for [x1, y1, x2, y2] in &mut self.boxes {
            if direction != FlipDirection::Vertical {
                (*x1, *x2) = (width - *x2, width - *x1);
            }
            if direction != FlipDirection::Horizontal {
                (*y1, *y2) = (height - *y2, height - *y1);
            }
        }
    }

    /// Keeps the boxes for which `keep` holds, with their labels and flags.
    pub fn retain_boxes(&mut self, keep: impl Fn(&[f32; 4]) -> bool) {
        let kept: Vec<bool> = self.boxes.iter().map(keep).collect();
        let mut flags = kept.iter();
        self.boxes.retain(|_| *flags.next().unwrap_or(&true));
        let mut flags = kept.iter();
        self.labels.retain(|_| *flags.next().unwrap_or(&true));
        let mut flags = kept.iter();
        self.ignore.retain(|_| *flags.next().unwrap_or(&true));
    }

    /// Keeps the boxes that lie at least partly within a picture of (height, width).
    pub fn retain_inside(&mut self, [height, width]: [usize; 2]) {
        let (width, height) = (width as f32, height as f32);
        self.retain_boxes(|b| b[0] < width && b[1] < height && b[2] > 0.0 && b[3] > 0.0);
    }

    /// Appends the boxes of another sample.
    pub fn append_boxes(&mut self, other: Self) {
        self.boxes.extend(other.boxes);
        self.labels.extend(other.labels);
        self.ignore.extend(other.ignore);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A grey sample with one box of class 0.
    pub(crate) fn grey_sample(width: usize, height: usize, bbox: [f32; 4]) -> Sample {
        let record = ImageRecord {
            img_id: ImageId::Number(1),
            img_path: PathBuf::from("grey.png"),
            width,
            height,
            instances: vec![Instance { bbox, label: 0, ignore: false }],
            label: None,
        };
        let mut sample = Sample::from_record(Arc::new(record));
        sample.set_image(Image::filled(width, height, [128; 3]));
        (sample.boxes, sample.labels, sample.ignore) = (vec![bbox], vec![0], vec![false]);
        sample
    }

    #[test]
    fn flipping_twice_gives_the_same_boxes() {
        let mut sample = grey_sample(10, 8, [1.0, 2.0, 4.0, 6.0]);
        sample.flip_boxes([8, 10], FlipDirection::Horizontal);
        assert_eq!(sample.boxes, [[6.0, 2.0, 9.0, 6.0]]);
        sample.flip_boxes([8, 10], FlipDirection::Diagonal);
        sample.flip_boxes([8, 10], FlipDirection::Vertical);
        assert_eq!(sample.boxes, [[1.0, 2.0, 4.0, 6.0]]);
    }

    #[test]
    fn boxes_outside_go_with_their_labels() {
        let mut sample = grey_sample(10, 8, [1.0, 2.0, 4.0, 6.0]);
        sample.append_boxes(grey_sample(10, 8, [10.0, 0.0, 12.0, 3.0]));
        sample.labels = vec![5, 6];
        sample.retain_inside([8, 10]);
        assert_eq!((sample.boxes.len(), sample.labels, sample.ignore.len()), (1, vec![5], 1));
    }
}
