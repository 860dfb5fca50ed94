//! MMDetection's own configs of three families: every model is built.
//! The files are MMDetection's and not in this repository: the test looks for them where `mmdet::` bases are looked for.

use std::path::{Path, PathBuf};

use snaphook_config::{LoadOptions, load};
use tch::Device;

const FAMILIES: [&str; 3] = ["yolox", "faster_rcnn", "retinanet"];

/// The folder with MMDetection's configs, found as a base would be.
fn configs() -> Option<PathBuf> {
    let folder = tempfile::tempdir().ok()?;
    let probe = folder.path().join("probe.py");
    std::fs::write(&probe, "_base_ = 'mmdet::_base_/default_runtime.py'\n").ok()?;
    let config = load(&probe, &LoadOptions::default()).ok()?;
    let base = config.files().iter().find(|file| file.ends_with("_base_/default_runtime.py"))?;
    base.ancestors().nth(2).map(Path::to_owned)
}

/// Other versions have other configs.
const VERSION: &str = "3.3.0";

/// `mmdet/version.py` beside `mmdet/.mim/configs`, or `configs` of its repository.
fn is_meant(configs: &Path) -> bool {
    if std::env::var_os("SNAPHOOK_CONFIG_PATH").is_some() {
        // Who names a folder wants it looked at.
        return true;
    }
    let beside = ["../version.py", "../../version.py", "../mmdet/version.py"];
    let mut texts =
        beside.iter().filter_map(|file| std::fs::read_to_string(configs.join(file)).ok());
    texts.any(|text| text.contains(&format!("'{VERSION}'")))
}

#[test]
fn every_model_of_three_families_is_built() {
    let Some(configs) = configs() else {
        println!("no MMDetection was found (SNAPHOOK_CONFIG_PATH): nothing was looked at");
        return;
    };
    if !is_meant(&configs) {
        println!("{}: not MMDetection {VERSION}: nothing was looked at", configs.display());
        return;
    }
    let (mut built, mut refused) = (0, Vec::new());
    for family in FAMILIES {
        let files = std::fs::read_dir(configs.join(family)).unwrap().flatten();
        for path in files
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "py"))
        {
            let config = load(&path, &LoadOptions::default()).unwrap();
            // Settings of test-time augmentation are no configs of their own.
            let Some(model) = config.get("model") else { continue };
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            match snaphook_vision::build_model(model, Device::Cpu) {
                Ok(_) => built += 1,
                Err(error) => refused.push(format!("{name}: {error}")),
            }
        }
    }
    println!("{built} built, {} refused", refused.len());
    assert!(refused.is_empty(), "{refused:#?}");
    assert_eq!(built, 70);
}
