//! `snaphook plugins inspect`: what a plugin says of itself in its manifest. No code of it is run, so this is
//! safe for a file that nobody trusts yet.

use std::path::Path;

use serde_json::{Value as Json, json};
use snaphook_hooks::{Priority, built_in};
use snaphook_loader::{ApiVersion, Manifest, Plugin, Resolved};
use snaphook_plugin_api::HookPoint;

use super::{config, kwargs};
use crate::args::{Format, PluginsInspectArguments};
use crate::output::{plain, table};
use crate::plan::FoundType;
use crate::plugins::Plugins;
use crate::{CliError, Exit, output};

/// What a target stands for.
enum Target {
    Plugins(Vec<Plugin>),
    BuiltIn(String),
}

pub(in crate::commands) fn inspect(arguments: &PluginsInspectArguments) -> Result<Exit, CliError> {
    let target = find(arguments)?;
    output::print(&match (target, arguments.format) {
        (Target::Plugins(plugins), Format::Text) => {
            plugins.iter().map(plugin_text).collect::<Vec<_>>().join("\n")
        }
        (Target::Plugins(plugins), Format::Json) => {
            format!(
                "{:#}\n",
                json!({ "plugins": plugins.iter().map(plugin_json).collect::<Vec<_>>() })
            )
        }
        (Target::BuiltIn(name), Format::Text) => built_in_text(&name),
        (Target::BuiltIn(name), Format::Json) => format!("{:#}\n", built_in_json(&name)),
    })?;
    Ok(Exit::Done)
}

/// A file, else the plugins of that name, else the one that offers the type.
fn find(arguments: &PluginsInspectArguments) -> Result<Target, CliError> {
    let target = arguments.target.as_str();
    if target.contains('/') || target.ends_with(".so") {
        let path = Path::new(target);
        let plugin = Plugin::read(path);
        let failed = |reason| CliError::Plugin(format!("plugin {}: {reason}", path.display()));
        return plugin.map(|plugin| Target::Plugins(vec![plugin])).map_err(failed);
    }
    let config = config(arguments.config.as_deref(), &arguments.config_path)?;
    let plugins = Plugins::find(&arguments.plugins, config.as_ref())?;
    let offers = |plugin: &&Plugin| {
        let manifest = &plugin.manifest;
        manifest.plugin.name == target
            || manifest.types.iter().any(|exported| exported.name == target)
    };
    let named: Vec<Plugin> = plugins.catalog.plugins().filter(offers).cloned().collect();
    if !named.is_empty() {
        return Ok(Target::Plugins(named));
    }
    match plugins.resolve(target).map_err(CliError::Plugin)? {
        Resolved::Plugin(found) => Ok(Target::Plugins(vec![found.plugin().clone()])),
        Resolved::BuiltIn(name) => Ok(Target::BuiltIn(name)),
    }
}

fn plugin_text(plugin: &Plugin) -> String {
    let manifest = &plugin.manifest;
    let mut text = table(&facts(plugin), "");
    if let Some(obstacle) = plugin.obstacle() {
        text += &format!("refused      {}\n", plain(&obstacle));
    }
    for exported in &manifest.types {
        let description = Described {
            title: format!("{} ({})", exported.name, exported.kind),
            summary: &exported.summary,
            points: &exported.points,
            priority: exported.priority,
            cost_us: exported.cost_us,
            kwargs_schema: &exported.kwargs_schema,
        };
        text += &description.text();
    }
    text
}

fn facts(plugin: &Plugin) -> Vec<[String; 2]> {
    let Manifest { plugin: info, build, api_built, api_min, .. } = &plugin.manifest;
    let host = ApiVersion::HOST;
    let rows = [
        ("plugin", format!("{} {}", info.name, info.version)),
        ("file", plugin.path.display().to_string()),
        ("description", info.description.clone()),
        ("licence", info.license.clone()),
        ("authors", info.authors.clone()),
        ("repository", info.repository.clone()),
        (
            "plugin-api",
            format!("built with {api_built}, works from {api_min} on, this host offers {host}"),
        ),
        ("build", [&build.target, &build.rustc, &build.profile].map(String::as_str).join(", ")),
    ];
    let given = rows.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| [name.to_owned(), plain(&value)]).collect()
}

/// What is shown of a type.
struct Described<'a> {
    title: String,
    summary: &'a str,
    points: &'a [HookPoint],
    priority: Option<i64>,
    cost_us: Option<u64>,
    kwargs_schema: &'a Json,
}

impl Described<'_> {
    fn text(&self) -> String {
        let points: Vec<&str> = self.points.iter().map(|point| point.name()).collect();
        let priority = Priority(self.priority.unwrap_or(Priority::NORMAL.0));
        let mut text = format!("\n{}\n", plain(&self.title));
        if !self.summary.is_empty() {
            text += &format!("  {}\n", plain(self.summary));
        }
        text += &format!("  points    {}\n", points.join(" "));
        text += &format!("  priority  {} ({})\n", priority.label(), priority.0);
        if let Some(cost) = self.cost_us {
            text += &format!("  cost      at most {cost} us a call\n");
        }
        text + "  kwargs\n" + &kwargs::lines(self.kwargs_schema, "    ")
    }
}

fn plugin_json(plugin: &Plugin) -> Json {
    json!({ "path": plugin.path, "refused": plugin.obstacle(), "build_id": plugin.build_id, "manifest": plugin.manifest.json })
}

fn built_in_text(name: &str) -> String {
    let (Some(found), Some(hook)) = (FoundType::built_in(name), built_in::find(name)) else {
        return String::new();
    };
    let description = Described {
        title: format!("{name} (hook, built in)"),
        summary: hook.summary,
        points: &found.points,
        priority: found.priority,
        cost_us: None,
        kwargs_schema: &found.kwargs_schema,
    };
    description.text().trim_start().to_owned()
}

fn built_in_json(name: &str) -> Json {
    let (Some(found), Some(hook)) = (FoundType::built_in(name), built_in::find(name)) else {
        return Json::Null;
    };
    let points: Vec<&str> = found.points.iter().map(|point| point.name()).collect();
    json!({
        "built_in": {
            "kind": "hook", "name": name, "summary": hook.summary, "points": points,
            "priority": found.priority, "kwargs_schema": found.kwargs_schema,
        }
    })
}
