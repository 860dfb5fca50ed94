//! `CocoDataset`: annotations in COCO's JSON.
//! Knows nothing of pictures' content.
//!
//! Source: MMDetection 3.3.0 `datasets/coco.py`.

use std::collections::HashMap;
use std::path::Path;

use snaphook_components::data::CocoDataset;

use super::coco_file::{CocoFile, CocoImage, NumberedBox};
use super::leaf::{AnnotatedImages, LeafConfig};
use crate::{DataError, ImageRecord, Instance};

/// COCO's own classes, used when `metainfo` names none.
const COCO_CLASSES: &str = "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush";

/// COCO's own classes.
pub(super) fn classes() -> Vec<&'static str> {
    COCO_CLASSES.split(',').collect()
}

pub(super) fn build(declared: CocoDataset) -> Result<AnnotatedImages, DataError> {
    let config = LeafConfig::new("CocoDataset", declared.fields(), &classes())?;
    let file = CocoFile::read(&config.ann_file)?;
    let records = records(&file, &config)?;
    config.finish("CocoDataset", records)
}

fn records(file: &CocoFile, config: &LeafConfig) -> Result<Vec<ImageRecord>, DataError> {
    let ids = file.category_ids(&config.ann_file, &config.meta.classes)?;
    let label_of: HashMap<i64, i64> =
        ids.iter().enumerate().map(|(i, id)| (*id, i as i64)).collect();
    let boxes = file.boxes_by_image();
    let mut records = Vec::with_capacity(file.images.len());
    for image in &file.images {
        let own = boxes.get(&image.id).map_or(&[][..], Vec::as_slice);
        if config.is_test_mode || is_kept(image, own, config, &label_of) {
            records.push(record(image, own, &config.prefixes.img, &label_of));
        }
    }
    Ok(records)
}

/// `filter_cfg`: an image counts as annotated if it has any annotation of a wanted class, usable or not.
fn is_kept(
    image: &CocoImage,
    boxes: &[&NumberedBox],
    config: &LeafConfig,
    label_of: &HashMap<i64, i64>,
) -> bool {
    let is_annotated = boxes.iter().any(|b| label_of.contains_key(&b.category_id));
    (is_annotated || !config.filter.filter_empty_gt)
        && image.width.min(image.height) >= config.filter.min_size
}

fn record(
    image: &CocoImage,
    boxes: &[&NumberedBox],
    folder: &Path,
    label_of: &HashMap<i64, i64>,
) -> ImageRecord {
    ImageRecord {
        img_id: image.id.clone(),
        img_path: folder.join(&image.file_name),
        width: image.width,
        height: image.height,
        instances: boxes.iter().filter_map(|b| instance(image, b, label_of)).collect(),
        label: None,
    }
}

/// `None` for what is not an object: marked `ignore`, without area, thinner than a pixel, outside.
fn instance(
    image: &CocoImage,
    annotation: &NumberedBox,
    label_of: &HashMap<i64, i64>,
) -> Option<Instance> {
    let [x, y, width, height] = annotation.bbox;
    let visible =
        |start: f64, length: f64, limit: usize| (start + length).min(limit as f64) - start.max(0.0);
    let is_outside =
        visible(x, width, image.width) <= 0.0 || visible(y, height, image.height) <= 0.0;
    let is_thin = annotation.area() <= 0.0 || width < 1.0 || height < 1.0;
    if annotation.ignore || is_outside || is_thin {
        return None;
    }
    let bbox = [x, y, x + width, y + height].map(|v| v as f32);
    Some(Instance {
        bbox,
        label: *label_of.get(&annotation.category_id)?,
        ignore: annotation.iscrowd,
    })
}
