//! Where the time of a run went: phases as a bar and a table, hooks as a table. Knows nothing of how it was measured.

use super::text::{count, duration, escape};
use crate::{RunRecord, is_built_in};

/// The colour and the words of a phase.
fn phase(name: &str) -> (usize, &str) {
    match name {
        "forward" => (0, "forward"),
        "backward" => (6, "backward"),
        "optimizer" => (2, "optimizer"),
        "data" => (1, "waiting for data"),
        "hooks" => (3, "hooks"),
        "evaluation" => (7, "validation and test"),
        "checkpoint" => (4, "checkpoints"),
        _ => (5, "start, end and the rest"),
    }
}

/// The bar alone, for a table of runs.
pub(super) fn bar(record: &RunRecord) -> String {
    let total: f64 = record.phases.iter().map(|phase| phase.seconds).sum();
    let part = |time: &crate::PhaseTime| {
        let share = 100.0 * time.seconds / total.max(1e-9);
        let (colour, words) = phase(&time.name);
        format!(
            "<i style=\"width:{share:.2}%;background:var(--c{colour})\" title=\"{words}: {} ({share:.1} %)\"></i>",
            duration(time.seconds)
        )
    };
    format!("<div class=\"stack\">{}</div>", record.phases.iter().map(part).collect::<String>())
}

/// Bar, legend and tables.
pub(super) fn section(record: &RunRecord) -> String {
    let total: f64 = record.phases.iter().map(|phase| phase.seconds).sum();
    if total <= 0.0 {
        return String::new();
    }
    let mut phases = record.phases.clone();
    phases.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let row = |time: &crate::PhaseTime| {
        let (colour, words) = phase(&time.name);
        format!(
            "<tr><td><i class=\"swatch\" style=\"background:var(--c{colour})\"></i>{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{:.1} %</td></tr>",
            escape(words),
            duration(time.seconds),
            100.0 * time.seconds / total
        )
    };
    let rows: String = phases.iter().filter(|time| time.seconds > 0.0).map(row).collect();
    format!(
        "<div class=\"card\"><h3>Phases</h3><p style=\"height:10px\"></p>{}<p style=\"height:8px\"></p><table>{rows}</table></div>{}",
        bar(record),
        hooks(record)
    )
}

fn hooks(record: &RunRecord) -> String {
    let row = |hook: &crate::HookCost| {
        let each = 1e6 * hook.seconds / hook.calls.max(1) as f64;
        let source = if is_built_in(hook) {
            String::new()
        } else {
            format!(" <span style=\"color:var(--soft)\">{}</span>", escape(&hook.source))
        };
        format!(
            "<tr><td>{}{source}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{:.2} %</td></tr>",
            escape(&hook.name),
            hook.priority,
            count(hook.calls),
            if each >= 1000.0 { format!("{:.1} ms", each / 1e3) } else { format!("{each:.1} µs") },
            100.0 * hook.seconds / record.seconds.max(1e-9)
        )
    };
    let rows: String = record.hooks.iter().filter(|hook| hook.calls > 0).map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<div class=\"card scroll\"><h3>Hooks</h3><table><tr><th>type</th><th class=\"n\">priority</th>\
         <th class=\"n\">calls</th><th class=\"n\">a call</th><th class=\"n\">of the run</th></tr>{rows}</table></div>"
    )
}
