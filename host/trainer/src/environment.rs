//! What a run is made of, for its log: machine, program, settings, config. Knows nothing of the run itself.
//!
//! Source: `_log_env` in `mmengine/runner/runner.py`, whose headings and dashes people's parsers look for.

use serde_json::Value as Json;
use snaphook_runner::log::RunLogger;
use snaphook_runner::{Run, RunInfo};
use tch::Device;

/// Writes the block of the environment.
pub(crate) fn log(run: &Run, info: &RunInfo, config: &Json) {
    let plugins = &run.machine.plugins;
    let mut text = format!("\n{}\nSystem environment:", "-".repeat(60));
    add(&mut text, &system(info));
    text += "\n\nRuntime environment:";
    add(&mut text, &runtime(info, config, run.machine.ranks.world()));
    if !plugins.is_empty() {
        text += "\n\nPlugins:";
        add(&mut text, &plugins.iter().map(plugin).collect::<Vec<_>>());
    }
    text += &format!("\n{}\n", "-".repeat(60));
    run.machine.log.info(text);
}

/// Writes the config, into the log file alone: it is long, and `vis_data/config.py` has it too.
pub(crate) fn log_config(log: &RunLogger, text: &str) {
    log.info_in_file(&format!("Config:\n{text}"));
}

fn add(text: &mut String, lines: &[(String, String)]) {
    for (name, value) in lines {
        *text += &format!("\n    {name}: {value}");
    }
}

fn line(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

fn system(info: &RunInfo) -> Vec<(String, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let device = match info.device {
        Device::Cpu => format!("CPU, {cores} cores, {} threads", tch::get_num_threads()),
        device => format!("{device:?}"),
    };
    vec![
        line("sys.platform", std::env::consts::OS),
        line("snaphook", env!("CARGO_PKG_VERSION")),
        line("libtorch", "2.11.0"),
        line("CUDA available", if tch::Cuda::is_available() { "True" } else { "False" }),
        line("device", device),
        line("seed", info.seed),
        line("work folder", info.work_dir.display()),
        line("run folder", info.run_dir.display()),
    ]
}

/// The settings of `env_cfg` and `randomness`, and how many processes there are.
fn runtime(info: &RunInfo, config: &Json, world: usize) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for section in ["env_cfg", "randomness"] {
        for (name, value) in config[section].as_object().into_iter().flatten() {
            if name != "seed" {
                lines.push(line(name, snaphook_hooks::python_json(value)));
            }
        }
    }
    // Whoever started several processes said so in torchrun's variables.
    let usual = if world > 1 { "pytorch" } else { "none" };
    let launcher = config["launcher"].as_str().filter(|name| *name != "none").unwrap_or(usual);
    lines.push(line("seed", info.seed));
    lines.push(line("Distributed launcher", launcher));
    lines.push(line("Distributed training", if world > 1 { "True" } else { "False" }));
    lines.push(line("GPU number", if info.device.is_cuda() { world } else { 0 }));
    lines
}

fn plugin(record: &Json) -> (String, String) {
    let field = |key: &str| record[key].as_str().unwrap_or("?");
    let (name, version) = (field("name"), field("version"));
    (format!("{name} {version}"), format!("{} from {}", field("type"), field("path")))
}
