//! Resolves every config of a folder, and lets MMEngine do the same where there is one.
//!
//! ```text
//! CONFIGS=…/mmdet/.mim/configs PEER_PYTHON=…/bin/python cargo bench -p snaphook-config
//! ```
//! Without `CONFIGS` it writes a folder of its own: chains of bases of the usual size.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use snaphook_config::{LoadOptions, load};

/// Loads every file given as an argument and prints the milliseconds that each takes.
const PEER: &str = "import sys, time, warnings\nwarnings.simplefilter('ignore')\n\
    from mmengine.config import Config\nstart = time.perf_counter()\nfor path in sys.argv[1:]:\n    try:\n        \
    Config._file2dict(path)\n    except Exception:\n        pass\n\
    print((time.perf_counter() - start) * 1000 / len(sys.argv[1:]))";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let own = tempfile::tempdir()?;
    let folder = match std::env::var_os("CONFIGS") {
        Some(folder) => PathBuf::from(folder),
        None => {
            write_chains(own.path())?;
            own.path().to_path_buf()
        }
    };
    let files = configs(&folder)?;
    let options = LoadOptions { search_paths: package_folder(&folder), ..Default::default() };
    let ours = resolve(&files, &options);
    let Some(python) = std::env::var_os("PEER_PYTHON") else {
        println!("set PEER_PYTHON to a Python with mmengine for the ratio");
        return Ok(());
    };
    let output = Command::new(python).args(["-c", PEER]).args(&files).output()?;
    let text = String::from_utf8(output.stdout)?;
    let peer: f64 = text.trim().lines().last().unwrap_or_default().parse()?;
    let ours = ours.as_secs_f64() * 1000.0;
    println!("mmengine: {peer:.2} ms each; ratio {:.0} times", peer / ours);
    Ok(())
}

/// Resolves all files and returns the mean of the best of three rounds.
fn resolve(files: &[PathBuf], options: &LoadOptions) -> Duration {
    let mut best = Duration::MAX;
    let (mut loaded, mut slowest) = (0, Duration::ZERO);
    for _ in 0..3 {
        (loaded, slowest) = (0, Duration::ZERO);
        let start = Instant::now();
        for file in files {
            let begin = Instant::now();
            loaded += usize::from(load(file, options).is_ok());
            slowest = slowest.max(begin.elapsed());
        }
        best = best.min(start.elapsed());
    }
    let mean = best / files.len().max(1) as u32;
    println!(
        "snaphook: {loaded} of {} configs load, {:.3} ms each, the slowest {:.3} ms",
        files.len(),
        mean.as_secs_f64() * 1000.0,
        slowest.as_secs_f64() * 1000.0
    );
    mean
}

fn configs(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "py") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The folder that a wheel was unpacked in, for `pkg::` bases: above `pkg/.mim/configs`.
fn package_folder(configs: &Path) -> Vec<PathBuf> {
    configs.ancestors().nth(3).map(Path::to_path_buf).into_iter().collect()
}

fn write_chains(folder: &Path) -> std::io::Result<()> {
    let layers: String = (0..60)
        .map(|i| {
            format!("model{i} = dict(type='M', stages=[dict(n=i, k=(3, 3)) for i in range(4)])\n")
        })
        .collect();
    std::fs::write(folder.join("base.py"), layers)?;
    for i in 0..200 {
        let child =
            format!("_base_ = './base.py'\nmodel1 = dict(depth={i}, a=_base_.model2.stages[0])\n");
        std::fs::write(folder.join(format!("child{i}.py")), child)?;
    }
    Ok(())
}
