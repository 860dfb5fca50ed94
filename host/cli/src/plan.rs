//! The hooks of a config, checked and in order, without building one. Knows nothing of how plugins are
//! found: they are behind [`PluginTypes`].

use std::fmt;
use std::path::PathBuf;

use serde_json::Value as Json;
use snaphook_config::{Config, Location};
use snaphook_hooks::{HookRow, HookSpec, Priority, built_in, hook_specs, plain_type, source_label};
use snaphook_plugin_api::HookPoint;
use snaphook_plugin_api::check_kwargs;
use snaphook_plugin_api::host::HookSource;

/// A hook type as far as it is known without running its code.
#[derive(Clone, Debug)]
pub struct FoundType {
    /// The name without scope or plugin.
    pub name: String,
    /// Who offers it.
    pub source: HookSource,
    /// The points at which it wants to be called.
    pub points: Vec<HookPoint>,
    /// The priority that its author chose.
    pub priority: Option<i64>,
    /// JSON schema of its keyword arguments.
    pub kwargs_schema: Json,
}

/// Hook types that plugins offer.
pub trait PluginTypes {
    /// The hook type that `written` means in a config; `None` when it means the built-in type of that name.
    ///
    /// Errors: no plugin offers it, or more than one; with the folders searched and the nearest name.
    fn find(&self, written: &str) -> Result<Option<FoundType>, String>;
}

/// A hook that the config asks for, with where it stands in the order.
#[derive(Clone, Debug)]
pub struct PlannedHook {
    /// What the config says.
    pub spec: HookSpec,
    /// What was found under that name.
    pub found: FoundType,
    /// The config's priority, else the type's own, else `NORMAL`.
    pub priority: Priority,
}

/// All hooks of a config in the order in which they are registered.
#[derive(Clone, Debug)]
pub struct HookPlan {
    /// The hooks.
    pub hooks: Vec<PlannedHook>,
}

/// Something wrong in a hook section, with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanProblem {
    /// File and line, where they are known.
    pub location: Option<Location>,
    /// `custom_hooks.0.interval`.
    pub key: String,
    /// Expected, found, way out.
    pub message: String,
}

/// All that is wrong with the hooks of a config.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanError {
    /// The config file.
    pub config: PathBuf,
    /// What is wrong; never empty.
    pub problems: Vec<PlanProblem>,
}

impl std::error::Error for PlanError {}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |problem: &PlanProblem| match &problem.location {
            Some(location) => format!("{location}: {}: {}", problem.key, problem.message),
            None => format!("{}: {}: {}", self.config.display(), problem.key, problem.message),
        };
        match self.problems.as_slice() {
            [one] => f.write_str(&line(one)),
            many => {
                write!(
                    f,
                    "{}: {} things are wrong with its hooks",
                    self.config.display(),
                    many.len()
                )?;
                many.iter().try_for_each(|problem| write!(f, "\n  {}", line(problem)))
            }
        }
    }
}

impl HookPlan {
    /// Reads the hook sections, finds every type and checks every keyword argument.
    ///
    /// Errors: everything that is wrong, together.
    pub fn of(config: &Config, plugins: &dyn PluginTypes) -> Result<HookPlan, PlanError> {
        let fail = |problems| PlanError { config: config.path().to_path_buf(), problems };
        let specs = hook_specs(config.value())
            .map_err(|error| fail(vec![problem(config, &error.key, error.message)]))?;
        let (mut hooks, mut problems) = (Vec::new(), Vec::new());
        for spec in specs {
            match find(&spec, plugins) {
                Ok(found) => {
                    problems.extend(wrong_kwargs(config, &spec, &found));
                    let priority = spec.priority.or(found.priority.map(Priority));
                    hooks.push(PlannedHook {
                        spec,
                        found,
                        priority: priority.unwrap_or(Priority::NORMAL),
                    });
                }
                Err(message) => {
                    problems.push(problem(config, &format!("{}.type", spec.key), message))
                }
            }
        }
        if problems.is_empty() { Ok(HookPlan { hooks }) } else { Err(fail(problems)) }
    }

    /// The hooks that are called at a point, first to last: by priority, then as registered.
    pub fn at(&self, point: HookPoint) -> Vec<&PlannedHook> {
        let wants = |hook: &&PlannedHook| hook.found.points.contains(&point);
        let mut hooks: Vec<_> = self.hooks.iter().filter(wants).collect();
        hooks.sort_by_key(|hook| hook.priority);
        hooks
    }

    /// The same as rows of MMEngine's table.
    pub fn rows(&self, point: HookPoint) -> Vec<HookRow> {
        let row = |hook: &PlannedHook| HookRow {
            type_name: hook.found.name.clone(),
            priority: hook.priority,
            source: source_label(&hook.found.source),
        };
        self.at(point).into_iter().map(row).collect()
    }
}

fn find(spec: &HookSpec, plugins: &dyn PluginTypes) -> Result<FoundType, String> {
    if let Some(found) = plugins.find(&spec.type_name)? {
        return Ok(found);
    }
    let name = plain_type(&spec.type_name);
    let hook = built_in::find(name).ok_or_else(|| format!("expected a hook type, found {name}"))?;
    let kwargs_schema = serde_json::from_str(hook.kwargs_schema);
    Ok(FoundType {
        name: hook.name.to_owned(),
        source: HookSource::BuiltIn,
        points: hook.points.to_vec(),
        priority: hook.priority,
        kwargs_schema: kwargs_schema
            .map_err(|error| format!("{name}: its kwargs schema: {error}"))?,
    })
}

fn wrong_kwargs(config: &Config, spec: &HookSpec, found: &FoundType) -> Vec<PlanProblem> {
    let wrong = check_kwargs(&found.name, &found.kwargs_schema, &spec.kwargs);
    let name_length = found.name.len();
    let locate = |message: String| {
        let argument =
            message.get(name_length + 1..).and_then(|rest| rest.split([':', '[']).next());
        let key = format!("{}.{}", spec.key, argument.unwrap_or_default());
        let place = config.location(&key).or_else(|| config.location(&spec.key));
        PlanProblem { location: place, key: spec.key.clone(), message }
    };
    wrong.into_iter().map(locate).collect()
}

/// A problem at the nearest place that is known: the key's own, else that of what holds it.
fn problem(config: &Config, key: &str, message: String) -> PlanProblem {
    let holders = std::iter::successors(Some(key), |key| Some(key.rsplit_once('.')?.0));
    let location = holders.into_iter().find_map(|key| config.location(key));
    PlanProblem { location, key: key.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use snaphook_config::{LoadOptions, load};

    /// One plugin type, `TraceHook`; all other names are built in.
    struct OneType;

    impl PluginTypes for OneType {
        fn find(&self, written: &str) -> Result<Option<FoundType>, String> {
            let path = PathBuf::from("/p/libtrace.so");
            let trace = FoundType {
                name: "TraceHook".to_owned(),
                source: HookSource::Plugin { name: "trace".into(), version: "1.0.0".into(), path },
                points: vec![HookPoint::BeforeRun, HookPoint::AfterTrainIter],
                priority: Some(70),
                kwargs_schema: json!({"properties": {"out": {"type": "string"}}, "required": ["out"]}),
            };
            match written {
                "TraceHook" => Ok(Some(trace)),
                "Nowhere" => Err("expected a hook type, found Nowhere".to_owned()),
                _ => Ok(None),
            }
        }
    }

    fn plan(text: &str) -> Result<HookPlan, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.py");
        std::fs::write(&path, text).unwrap();
        let config = load(&path, &LoadOptions::default()).unwrap();
        let shown = format!("{}/", folder.path().display());
        HookPlan::of(&config, &OneType).map_err(|error| error.to_string().replace(&shown, ""))
    }

    #[test]
    fn equal_priorities_keep_the_order_of_registration() {
        let plan = plan("custom_hooks = [dict(type='TraceHook', out='t')]").unwrap();
        let names =
            |point| plan.rows(point).into_iter().map(|row| row.type_name).collect::<Vec<_>>();
        let iteration = names(HookPoint::AfterTrainIter);
        let place = |name: &str| iteration.iter().position(|other| other == name).unwrap();
        assert!(place("LoggerHook") < place("ParamSchedulerHook"));
        assert_eq!(place("TraceHook"), place("ParamSchedulerHook") + 1);
        assert!(place("TraceHook") < place("CheckpointHook"));
        assert_eq!(plan.at(HookPoint::OnException).len(), 0);
    }

    #[test]
    fn the_config_has_the_last_word_on_priority() {
        let text = "custom_hooks = [dict(type='TraceHook', out='t', priority='HIGHEST')]";
        assert_eq!(plan(text).unwrap().rows(HookPoint::BeforeRun)[0].type_name, "TraceHook");
    }

    #[test]
    fn wrong_arguments_are_named_with_their_lines() {
        let text =
            "custom_hooks = [\n  dict(type='TraceHook',\n    out=3),\n  dict(type='Nowhere')]";
        assert_eq!(
            plan(text).unwrap_err(),
            "a.py: 2 things are wrong with its hooks\n  \
             a.py, line 3: custom_hooks.0: TraceHook.out: expected a string, found 3\n  \
             a.py, line 4: custom_hooks.1.type: expected a hook type, found Nowhere"
        );
    }

    #[test]
    fn arguments_of_built_in_hooks_are_checked_too() {
        let text = "default_hooks = dict(checkpoint=dict(type='CheckpointHook', intervall=1))";
        let message = plan(text).unwrap_err();
        assert!(
            message
                .starts_with("a.py, line 1: default_hooks.checkpoint: CheckpointHook.intervall:")
        );
        assert!(message.contains("did you mean 'interval'?"), "{message}");
    }
}
