//! `snaphook hooks list`: the order in which a run would call its hooks. Runs no code of plugins.

use serde_json::{Value as Json, json};
use snaphook_hooks::hook_table;
use snaphook_plugin_api::HookPoint;
use snaphook_plugin_api::host::HookSource;

use crate::args::{Format, HooksListArguments};
use crate::plan::{HookPlan, PlannedHook};
use crate::plugins::Plugins;
use crate::{CliError, Exit, load_with_warnings, output};

pub(super) fn list(arguments: &HooksListArguments) -> Result<Exit, CliError> {
    let config = load_with_warnings(&arguments.config, &arguments.load)?;
    let plan = HookPlan::of(&config, &Plugins::find(&arguments.plugins, Some(&config))?)?;
    let text = match arguments.format {
        Format::Text => hook_table(|point| plan.rows(point)),
        Format::Json => format!("{:#}\n", as_json(&plan)),
    };
    output::print(&text)?;
    Ok(Exit::Done)
}

/// `{"points": [{"point", "hooks": [{"type", "priority", "source", "key"}]}]}`, points without hooks left out.
fn as_json(plan: &HookPlan) -> Json {
    let point = |point: HookPoint| {
        let hooks: Vec<Json> = plan.at(point).into_iter().map(hook).collect();
        (!hooks.is_empty()).then(|| json!({ "point": point.name(), "hooks": hooks }))
    };
    json!({ "points": HookPoint::ALL.into_iter().filter_map(point).collect::<Vec<_>>() })
}

fn hook(hook: &PlannedHook) -> Json {
    let source = match &hook.found.source {
        HookSource::BuiltIn => json!("built-in"),
        HookSource::Plugin { name, version, path } => {
            json!({ "plugin": name, "version": version, "path": path })
        }
    };
    json!({
        "type": hook.found.name,
        "priority": hook.priority.0,
        "level": hook.priority.label(),
        "source": source,
        "key": hook.spec.key,
    })
}
