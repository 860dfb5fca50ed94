//! `VOCDataset` and `XMLDataset`: annotations in Pascal VOC's XML files.
//! Knows nothing of pictures' content, except their size where the XML does not say it.
//!
//! Source: MMDetection 3.3.0 `datasets/xml_style.py`, `datasets/voc.py`: coordinates are read as whole
//! numbers and reduced by one. We differ where MMDetection keeps boxes without any extent: they are left out.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};
use snaphook_components::data::{VocDataset, XmlDataset};

use super::leaf::{AnnotatedImages, LeafConfig};
use crate::image::read_image;
use crate::{DataError, ImageId, ImageRecord, Instance};

/// Pascal VOC's own classes.
pub(super) const VOC_CLASSES: [&str; 20] = [
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];

pub(super) fn build(declared: VocDataset) -> Result<AnnotatedImages, DataError> {
    let folders = Folders {
        img_subdir: declared.img_subdir.clone(),
        ann_subdir: declared.ann_subdir.clone(),
    };
    let config = LeafConfig::new("VOCDataset", declared.fields(), &VOC_CLASSES)?;
    read("VOCDataset", config, &folders)
}

/// The same with classes of one's own.
///
/// Source: MMDetection 3.3.0 `XMLDataset`, whose classes must be given.
pub(super) fn build_xml(declared: XmlDataset) -> Result<AnnotatedImages, DataError> {
    let folders = Folders {
        img_subdir: declared.img_subdir.clone(),
        ann_subdir: declared.ann_subdir.clone(),
    };
    let config = LeafConfig::new("XMLDataset", declared.fields(), &[])?;
    if config.meta.classes.is_empty() {
        let reason = "expected classes, found none (this data set has none of its own)";
        return Err(DataError::config("XMLDataset.metainfo", reason));
    }
    read("XMLDataset", config, &folders)
}

/// Below `sub_data_root`.
struct Folders {
    img_subdir: String,
    ann_subdir: String,
}

fn read(
    name: &'static str,
    mut config: LeafConfig,
    folders: &Folders,
) -> Result<AnnotatedImages, DataError> {
    let root = config.prefixes.sub_data_root.clone().unwrap_or_else(|| config.data_root.clone());
    config.meta.dataset_type = ["VOC2007", "VOC2012"]
        .iter()
        .find(|year| root.to_string_lossy().contains(**year))
        .map(|year| (*year).to_owned());
    let list = fs::read_to_string(&config.ann_file)
        .map_err(|source| DataError::ReadAnnotations { path: config.ann_file.clone(), source })?;
    let mut records = Vec::new();
    let mut seen = HashSet::new();
    for id in list.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if !seen.insert(id) {
            return Err(DataError::annotations(&config.ann_file, format!("{id}: occurs twice")));
        }
        let xml = root.join(&folders.ann_subdir).join(format!("{id}.xml"));
        let picture = root.join(&folders.img_subdir).join(format!("{id}.jpg"));
        let record = read_record(id, &xml, picture, &config)?;
        if config.is_test_mode || is_kept(&record, &config) {
            records.push(record);
        }
    }
    config.finish(name, records)
}

fn is_kept(record: &ImageRecord, config: &LeafConfig) -> bool {
    !(config.filter.filter_empty_gt && record.instances.is_empty())
        && record.width.min(record.height) >= config.filter.min_size
}

fn read_record(
    id: &str,
    xml: &Path,
    img_path: PathBuf,
    config: &LeafConfig,
) -> Result<ImageRecord, DataError> {
    let text = fs::read_to_string(xml)
        .map_err(|source| DataError::ReadAnnotations { path: xml.to_owned(), source })?;
    let wrong = |reason: String| DataError::annotations(xml, reason);
    let document = Document::parse(&text).map_err(|e| wrong(format!("not XML: {e}")))?;
    let root = document.root_element();
    let (width, height) = match child(root, "size") {
        Some(size) => (
            number(size, "width").map_err(wrong)? as usize,
            number(size, "height").map_err(wrong)? as usize,
        ),
        None => {
            let image = read_image(&img_path)?;
            (image.width(), image.height())
        }
    };
    let mut instances = Vec::new();
    for object in root.children().filter(|n| n.has_tag_name("object")) {
        instances.extend(instance(object, config).map_err(wrong)?);
    }
    let img_id = ImageId::Name(id.to_owned());
    Ok(ImageRecord { img_id, img_path, width, height, instances, label: None })
}

fn child<'a, 'd>(node: Node<'a, 'd>, name: &str) -> Option<Node<'a, 'd>> {
    node.children().find(|n| n.has_tag_name(name))
}

fn text<'a>(node: Node<'a, '_>, name: &str) -> Result<&'a str, String> {
    let found = child(node, name).and_then(|n| n.text());
    let place = || node.document().text_pos_at(node.range().start);
    found.map(str::trim).ok_or_else(|| {
        format!("line {}: <{}> has no <{name}>", place().row, node.tag_name().name())
    })
}

fn number(node: Node, name: &str) -> Result<f32, String> {
    let found = text(node, name)?;
    let line = node.document().text_pos_at(node.range().start).row;
    let parsed = found.parse::<f32>().ok().filter(|v| v.is_finite());
    parsed
        .map(f32::trunc)
        .ok_or_else(|| format!("line {line}: <{name}> expected a number, found {found:?}"))
}

/// `None` for another class than the wanted ones, or a box without extent.
fn instance(object: Node, config: &LeafConfig) -> Result<Option<Instance>, String> {
    let name = text(object, "name")?;
    let Some(label) = config.meta.classes.iter().position(|c| c == name) else { return Ok(None) };
    let is_difficult =
        child(object, "difficult").is_some_and(|n| n.text().is_some_and(|t| t.trim() != "0"));
    let Some(corners) = child(object, "bndbox") else {
        return Err(format!("object {name}: has no <bndbox>"));
    };
    let mut bbox = [0.0; 4];
    for (value, side) in bbox.iter_mut().zip(["xmin", "ymin", "xmax", "ymax"]) {
        *value = number(corners, side)? - 1.0;
    }
    let (width, height) = (bbox[2] - bbox[0], bbox[3] - bbox[1]);
    if width <= 0.0 || height <= 0.0 {
        return Ok(None);
    }
    let is_small = config.filter.bbox_min_size.is_some_and(|least| width < least || height < least);
    Ok(Some(Instance { bbox, label: label as i64, ignore: is_difficult || is_small }))
}
