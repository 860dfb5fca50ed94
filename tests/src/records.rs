//! Reads what a run leaves behind: scalars, traces, checkpoints. Knows nothing of what should be in them.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

/// Keys of scalars that are another number each time: seconds and megabytes.
const MEASURED: [&str; 3] = ["time", "data_time", "memory"];

/// The JSON values of a file with one a line.
fn json_lines(path: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    // The last line may not be whole yet, or was never written to its end.
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    text[..whole].lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines of a trace as `point epoch iter [batch_idx]`.
pub fn trace(path: &Path) -> Vec<String> {
    let line = |json: Json| {
        let point = json["point"].as_str().unwrap().to_owned();
        let numbers = ["epoch", "iter", "batch_idx"].map(|key| json[key].as_u64());
        numbers.into_iter().flatten().fold(point, |line, number| format!("{line} {number}"))
    };
    json_lines(path).into_iter().map(line).collect()
}

/// The scalars of all runs in a work folder, in the order in which the runs started, without what is
/// measured by a clock.
pub fn scalars(work: &Path) -> Vec<Json> {
    let runs = names(work).into_iter().map(|name| work.join(name).join("vis_data/scalars.json"));
    let mut records: Vec<Json> =
        runs.filter(|path| path.is_file()).flat_map(|path| json_lines(&path)).collect();
    for record in &mut records {
        let map = record.as_object_mut().unwrap();
        map.retain(|key, _| !MEASURED.contains(&key.as_str()));
    }
    records
}

/// The checkpoints `epoch_N` of a work folder, by N; empty without a folder.
pub fn checkpoints(work: &Path) -> Vec<PathBuf> {
    let number = |name: &String| name.strip_prefix("epoch_")?.parse::<u64>().ok();
    let mut found: Vec<(u64, String)> =
        names(work).into_iter().filter_map(|name| Some((number(&name)?, name))).collect();
    found.sort();
    found.into_iter().map(|(_, name)| work.join(name)).collect()
}

/// The weights in a checkpoint, as they lie on disk.
pub fn weights(checkpoint: &Path) -> Vec<u8> {
    let path = checkpoint.join("model.safetensors");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether a checkpoint has a manifest, and every file that it lists at its full size.
pub fn is_whole(checkpoint: &Path) -> bool {
    let manifest = std::fs::read(checkpoint.join("manifest.json")).unwrap_or_default();
    let Ok(manifest) = serde_json::from_slice::<Json>(&manifest) else { return false };
    let Some(files) = manifest["files"].as_object() else { return false };
    let size = |name: &String| std::fs::metadata(checkpoint.join(name)).map(|file| file.len()).ok();
    !files.is_empty() && files.iter().all(|(name, file)| size(name) == file["bytes"].as_u64())
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
