//! Tells whether two data sets hold the same samples in the same order.
//! Knows nothing of pipelines: another augmentation is still the same data.

use sha2::{Digest, Sha256};

use super::Dataset;
use crate::ImageRecord;

/// A hash of what the annotations say: ids, names of files, sizes, classes and objects, in the order of the samples. The folder that
/// pictures lie in does not count, so that data can move; nor do the pictures' bytes, which would have to be read.
pub fn fingerprint(dataset: &dyn Dataset) -> String {
    let mut hash = Sha256::new();
    for index in 0..dataset.len() {
        add(&mut hash, dataset.record(index));
    }
    let digest = hash.finalize();
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn add(hash: &mut Sha256, record: &ImageRecord) {
    let name = record.img_path.file_name().unwrap_or_default().as_encoded_bytes();
    let id = record.img_id.to_string();
    for text in [id.as_bytes(), name] {
        number(hash, text.len());
        hash.update(text);
    }
    number(hash, record.width);
    number(hash, record.height);
    hash.update(record.label.unwrap_or(-1).to_le_bytes());
    number(hash, record.instances.len());
    for instance in &record.instances {
        for side in instance.bbox {
            hash.update(side.to_le_bytes());
        }
        hash.update(instance.label.to_le_bytes());
        hash.update([u8::from(instance.ignore)]);
    }
}

fn number(hash: &mut Sha256, value: usize) {
    hash.update((value as u64).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::build_dataset;
    use crate::shapes::ShapesOptions;

    #[test]
    fn data_may_move_but_not_change() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str, seed: u64| {
            let root = folder.path().join(name);
            let options = ShapesOptions { train: 3, val: 1, size: 32, seed };
            if !root.exists() {
                options.draw_into(&root).unwrap();
            }
            let dataset = json!({
                "type": "CocoDataset", "data_root": root, "ann_file": "annotations/train.json", "data_prefix": { "img": "train/" },
                "metainfo": { "classes": ["circle", "square", "triangle"] },
            });
            fingerprint(&*build_dataset(&dataset).unwrap())
        };
        let first = of("a", 1);
        assert_eq!(first.len(), 16);
        assert_eq!(first, of("a", 1));
        assert_eq!(first, of("b", 1));
        assert_ne!(first, of("c", 2));
    }
}
