//! Tells where the results of a training run lie, by looking which files are there.

use std::fs;
use std::path::{Path, PathBuf};

/// A short text with the paths that people want after the demo.
pub(crate) fn where_to_look(config: &Path, work_folder: &Path) -> String {
    let run = entries(work_folder).into_iter().rfind(|path| path.join("vis_data").is_dir());
    let run = run.unwrap_or_else(|| work_folder.to_path_buf());
    let pictures = run.join("vis_data/vis_image");
    let rows = [
        ("config", Some(config.to_path_buf())),
        ("report", existing(run.join("report.html"))),
        ("log", entries(&run).into_iter().find(|path| has_ending(path, "log"))),
        ("scalars", existing(run.join("vis_data/scalars.json"))),
        ("pictures", existing(pictures)),
        ("checkpoint", checkpoint(work_folder)),
        ("trace of the hooks", existing(work_folder.join("trace.jsonl"))),
    ];
    let mut text = format!("The demo's results are in {}\n", work_folder.display());
    for (name, path) in rows {
        if let Some(path) = path {
            text += &format!("  {name:<20}{}\n", path.display());
        }
    }
    text
}

/// The best checkpoint, else the last.
fn checkpoint(work_folder: &Path) -> Option<PathBuf> {
    let files = entries(work_folder);
    let named = |prefix: &str| {
        files.iter().rfind(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        })
    };
    named("best_").or_else(|| named("epoch_")).cloned()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    paths.sort();
    paths
}

fn existing(path: PathBuf) -> Option<PathBuf> {
    path.exists().then_some(path)
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_there_are_listed_and_others_are_not() {
        let root = tempfile::tempdir().unwrap();
        let run = root.path().join("20260101_000000");
        fs::create_dir_all(run.join("vis_data")).unwrap();
        for file in ["vis_data/scalars.json", "20260101_000000.log"] {
            fs::write(run.join(file), "").unwrap();
        }
        fs::write(root.path().join("best_coco_bbox_mAP_epoch_10.pth"), "").unwrap();
        let text = where_to_look(Path::new("run-1.py"), root.path());
        assert!(text.contains("scalars.json") && text.contains("20260101_000000.log"), "{text}");
        assert!(text.contains("best_coco") && !text.contains("pictures"), "{text}");
    }
}
