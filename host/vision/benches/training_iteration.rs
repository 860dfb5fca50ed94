//! A training iteration of whole detectors, forward, backward and update, with pictures of noise: seconds and peak memory,
//! beside MMDetection's where `MMDETECTION_PYTHON` names a Python that has it. Each runs in a process of its own, one after
//! the other. `THREADS` (2) and `ITERATIONS` (5) can be set; the first iteration is left out of the median.
//!
//! ```text
//! MMDETECTION_PYTHON=venv/bin/python cargo bench -p snaphook-vision --bench training_iteration [-- yolox_tiny]
//! ```

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value as Json, json};
use snaphook_data::{Batch, Image, ImageId, ImageRecord, Sample};
use snaphook_runner::{AnyBatch, StepContext};
use tch::{Device, Tensor};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Asks a process of this program for one measurement.
const ONE: &str = "--one";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [flag, name] = &arguments[..]
        && flag == ONE
    {
        println!("{}", one(name)?);
        return Ok(());
    }
    let cases = cases()?;
    let names = cases.as_object().into_iter().flatten().map(|(name, _)| name);
    for name in names.filter(|name| arguments.is_empty() || arguments.contains(name)) {
        let own = measured(Command::new(std::env::current_exe()?).args([ONE, name]))?;
        let (seconds, peak) = figures(&own);
        println!(
            "{name}: {seconds:.2} s per iteration (median), peak {peak:.2} GiB, {} threads",
            threads()
        );
        let Some(python) = std::env::var_os("MMDETECTION_PYTHON") else { continue };
        let script = folder().join("training_iteration.py");
        let (threads, iterations) = (threads().to_string(), iterations().to_string());
        let peer = measured(Command::new(python).arg(script).args([name, &threads, &iterations]))?;
        let (peer_seconds, peer_peak) = figures(&peer);
        println!("{name}: MMDetection {peer_seconds:.2} s, peak {peer_peak:.2} GiB");
        println!(
            "{name}: {:.2} times as fast, {:.2} of the memory",
            peer_seconds / seconds,
            peak / peer_peak
        );
    }
    Ok(())
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches")
}

fn cases() -> Result<Json, Failure> {
    let text = std::fs::read_to_string(folder().join("training_iteration.json"))?;
    Ok(serde_json::from_str(&text)?)
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn threads() -> usize {
    number("THREADS", 2)
}

fn iterations() -> usize {
    number("ITERATIONS", 5)
}

/// The last line that a process prints.
fn measured(command: &mut Command) -> Result<Json, Failure> {
    let output = command
        .env("OMP_NUM_THREADS", threads().to_string())
        // As `snaphook` does for its trainer: threads that spin on shared cores measure each other.
        .env("OMP_WAIT_POLICY", "passive")
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(serde_json::from_str(text.lines().last().unwrap_or_default())?)
}

/// Median seconds without the first iteration, and the peak.
fn figures(measured: &Json) -> (f64, f64) {
    let seconds = measured["seconds"].as_array().into_iter().flatten();
    let mut seconds: Vec<f64> = seconds.filter_map(Json::as_f64).skip(1).collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN);
    (median, measured["peak_gib"].as_f64().unwrap_or(f64::NAN))
}

fn one(name: &str) -> Result<Json, Failure> {
    tch::set_num_threads(i32::try_from(threads())?);
    let case = &cases()?[name];
    let mut model = snaphook_vision::build_model(&case["model"], Device::Cpu)?;
    model.init_weights(0)?;
    let batch = batch(case);
    let mut velocities: Vec<Tensor> = Vec::new();
    let mut seconds = Vec::new();
    for iter in 0..iterations() {
        let began = Instant::now();
        let context = StepContext { iter: iter as u64, ..StepContext::default() };
        let losses = model.loss(&batch, &context)?;
        let terms = losses.0.into_iter().filter(|(name, _)| name.contains("loss"));
        let total = terms.map(|(_, loss)| loss).reduce(|a, b| a + b);
        total.as_ref().map(Tensor::backward);
        let trained = model.state().parameters().filter(|entry| entry.tensor.requires_grad());
        tch::no_grad(|| {
            for (i, entry) in trained.enumerate() {
                let mut gradient = entry.tensor.grad();
                if velocities.len() <= i {
                    velocities.push(gradient.zeros_like());
                }
                let _ = velocities[i].g_mul_scalar_(0.9).g_add_(&gradient);
                let _ = entry.tensor.shallow_clone().g_sub_(&(&velocities[i] * 0.001));
                let _ = gradient.zero_();
            }
        });
        seconds.push(began.elapsed().as_secs_f64());
    }
    Ok(json!({"seconds": seconds, "peak_gib": peak_gib()}))
}

fn peak_gib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0 / 1024.0)
}

fn batch(case: &Json) -> AnyBatch {
    let whole = |value: &Json| value.as_u64().unwrap_or(1) as usize;
    let (height, width) = (whole(&case["size"][0]), whole(&case["size"][1]));
    let mut state = 1_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let mut sample = |number: usize| {
        let record = ImageRecord {
            img_id: ImageId::Number(number as i64),
            img_path: PathBuf::from("noise.png"),
            width,
            height,
            instances: Vec::new(),
            label: None,
        };
        let mut sample = Sample::from_record(Arc::new(record));
        let mut image = Image::filled(width, height, [0; 3]);
        image.data_mut().iter_mut().for_each(|byte| *byte = random() as u8);
        sample.set_image(image);
        for _ in 0..whole(&case["boxes"]) {
            let mut below = |most: usize| (random() as usize % most) as f32;
            let (x, y) = (below(width - 120), below(height - 120));
            let (w, h) = (20.0 + below(100), 20.0 + below(100));
            sample.boxes.push([x, y, x + w, y + h]);
            sample.labels.push(below(80) as i64);
            sample.ignore.push(false);
        }
        sample
    };
    Box::new(Batch { samples: (0..whole(&case["batch"])).map(&mut sample).collect(), index: 0 })
}
