//! The lower part of a page: pictures, all metrics, the machine, plugins, the config, what the log complains of.
//! Knows nothing of charts.

use serde_json::Value as Json;

use super::text::{base64, duration, escape, number};
use crate::{RunData, RunRecord, is_greater_better};

/// Pictures of predictions, as they lie in the run's folder.
pub(super) fn pictures(run: &RunData) -> String {
    let figure = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).ok()?;
        let kind = if bytes.starts_with(b"\x89PNG") { "png" } else { "jpeg" };
        let name = path.file_name()?.to_string_lossy().into_owned();
        let name = escape(&name);
        Some(format!(
            "<figure><img src=\"data:image/{kind};base64,{}\" alt=\"predictions: {name}\" loading=\"lazy\">\
             <figcaption>{name}</figcaption></figure>",
            base64(&bytes)
        ))
    };
    run.pictures.iter().filter_map(figure).collect()
}

/// Every metric: its best and its last value, or what a test measured.
pub(super) fn metrics(run: &RunData) -> String {
    let mut rows = String::new();
    for curve in run.metrics() {
        let (Some(best), Some(last)) = (curve.best(is_greater_better(&curve.name)), curve.last())
        else {
            continue;
        };
        let place = best.place();
        rows += &format!(
            "<tr><td>{}</td><td class=\"n best\">{}</td><td class=\"n\">{place}</td><td class=\"n\">{}</td></tr>",
            escape(&curve.name),
            number(best.value),
            number(last.value)
        );
    }
    if !rows.is_empty() {
        return format!(
            "<div class=\"card scroll\"><table><tr><th>metric</th><th class=\"n\">best</th>\
             <th class=\"n\">at</th><th class=\"n\">last</th></tr>{rows}</table></div>"
        );
    }
    for (name, value) in &run.test {
        rows +=
            &format!("<tr><td>{}</td><td class=\"n\">{}</td></tr>", escape(name), number(*value));
    }
    if rows.is_empty() {
        rows
    } else {
        format!("<div class=\"card scroll\"><table>{rows}</table></div>")
    }
}

fn table(rows: &[(&str, String)]) -> String {
    let row = |(name, value): &(&str, String)| {
        format!("<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value))
    };
    let rows = rows.iter().filter(|(_, value)| !value.is_empty()).map(row);
    format!("<table>{}</table>", rows.collect::<String>())
}

/// The machine, the program and its plugins.
pub(super) fn environment(run: &RunData) -> String {
    let machine = run.record.as_ref().map_or_else(String::new, machine);
    machine + &plugins(&run.plugins)
}

fn machine(record: &RunRecord) -> String {
    let environment = &record.environment;
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref().map_or_else(String::new, |path| path.display().to_string())
    };
    let rows = [
        ("command", environment.command.join(" ")),
        ("config", record.config.display().to_string()),
        ("resumed from", path(&record.resumed_from)),
        ("seed", record.seed.to_string()),
        ("began", record.started.replace('T', " ")),
        ("time", duration(record.seconds)),
        ("Snaphook", environment.snaphook.clone()),
        ("libtorch", environment.libtorch.clone()),
        ("device", environment.device.clone()),
        ("threads", environment.threads.to_string()),
        ("host", environment.host.clone()),
        ("processor", format!("{}, {} cores", environment.processor, environment.cores)),
        ("memory", format!("{:.1} GiB", environment.memory_mib as f64 / 1024.0)),
    ];
    format!("<div class=\"card\"><h3>Machine and program</h3>{}</div>", table(&rows))
}

fn plugins(plugins: &[Json]) -> String {
    let text = |plugin: &Json, key: &str| plugin[key].as_str().unwrap_or_default().to_owned();
    let row = |plugin: &Json| {
        let sha256: String = text(plugin, "sha256").chars().take(12).collect();
        format!(
            "<tr><td>{} {}</td><td>{}</td><td><code>{}</code></td><td><code>{}</code></td></tr>",
            escape(&text(plugin, "name")),
            escape(&text(plugin, "version")),
            escape(&text(plugin, "type")),
            escape(&sha256),
            escape(&text(plugin, "path"))
        )
    };
    let rows: String = plugins.iter().map(row).collect();
    if rows.is_empty() {
        return rows;
    }
    format!(
        "<div class=\"card scroll\"><h3>Plugins</h3><table><tr><th>plugin</th><th>hook</th><th>SHA-256</th>\
         <th>file</th></tr>{rows}</table></div>"
    )
}

/// What the log warns of.
pub(super) fn problems(run: &RunData) -> String {
    if run.problems.is_empty() {
        return String::new();
    }
    format!("<div class=\"card\"><pre>{}</pre></div>", escape(&run.problems.join("\n")))
}

/// The resolved config, folded away.
pub(super) fn config(run: &RunData) -> String {
    run.config.as_ref().map_or_else(String::new, |config| {
        format!(
            "<details class=\"card\"><summary>The resolved config ({} lines)</summary><pre>{}</pre></details>",
            config.lines().count(),
            escape(config)
        )
    })
}
