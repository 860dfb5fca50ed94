//! The hooks of a config, checked and in order, without building one. Knows nothing of how plugins are
//! found: they are behind [`HookTypes`].

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use snaphook_config::{Config, Location};
use snaphook_hooks::{HookRow, HookSpec, Priority, built_in, hook_specs, source_label};
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

impl FoundType {
    /// The built-in hook of this plain name.
    pub fn built_in(name: &str) -> Option<FoundType> {
        let hook = built_in::find(name)?;
        Some(FoundType {
            name: hook.name.to_owned(),
            source: HookSource::BuiltIn,
            points: hook.points.to_vec(),
            priority: hook.priority,
            kwargs_schema: serde_json::from_str(hook.kwargs_schema).unwrap_or_default(),
        })
    }
}

/// All hook types that there are, built in or of plugins.
pub trait HookTypes {
    /// The one that `written` means in a config: `Type`, `scope.Type` or `plugin-name:Type`.
    ///
    /// Errors: nothing has that name, or more than one; with the folders searched and the nearest name.
    fn find(&self, written: &str) -> Result<FoundType, String>;
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
        let config = self.config.display();
        if let [one] = self.problems.as_slice() {
            return f.write_str(&one.text(&self.config));
        }
        write!(f, "{config}: {} things are wrong with its hooks", self.problems.len())?;
        for (index, problem) in self.problems.iter().enumerate() {
            let text = problem.text(&self.config);
            let next = self.problems.get(index + 1);
            let shown = match next.is_some_and(|next| next.details() == problem.details()) {
                true => text.lines().next().unwrap_or_default(),
                false => &text,
            };
            write!(f, "\n  {}", shown.replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

impl PlanProblem {
    fn text(&self, config: &Path) -> String {
        let (key, message) = (&self.key, &self.message);
        match &self.location {
            Some(location) => format!("{location}: {key}: {message}"),
            None => format!("{}: {key}: {message}", config.display()),
        }
    }

    /// The lines after the first, such as the folders searched: the same for each type that is not found.
    fn details(&self) -> Option<&str> {
        Some(self.message.split_once('\n')?.1)
    }
}

impl HookPlan {
    /// Reads the hook sections, finds every type and checks every keyword argument.
    ///
    /// Errors: everything that is wrong, together.
    pub fn of(config: &Config, types: &dyn HookTypes) -> Result<HookPlan, PlanError> {
        match HookPlan::look(config, types) {
            (plan, problems) if problems.is_empty() => Ok(plan),
            (_, problems) => Err(PlanError { config: config.path().to_path_buf(), problems }),
        }
    }

    /// The hooks that are found, and everything that is wrong with them or the others.
    pub fn look(config: &Config, types: &dyn HookTypes) -> (HookPlan, Vec<PlanProblem>) {
        let (mut hooks, mut problems) = (Vec::new(), Vec::new());
        let specs = hook_specs(config.value()).unwrap_or_else(|error| {
            problems.push(problem(config, &error.key, error.message));
            Vec::new()
        });
        for spec in specs {
            match types.find(&spec.type_name) {
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
        (HookPlan { hooks }, problems)
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
    let mut problems: Vec<PlanProblem> = wrong.into_iter().map(locate).collect();
    if problems.is_empty() && found.source == HookSource::BuiltIn {
        let checked = built_in::find(&found.name).map(|hook| (hook.check)(&spec.kwargs));
        if let Some(Err(error)) = checked {
            problems.push(locate(format!("{}.{}", found.name, error.message)));
        }
    }
    problems
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

    impl HookTypes for OneType {
        fn find(&self, written: &str) -> Result<FoundType, String> {
            let path = PathBuf::from("/p/libtrace.so");
            let trace = FoundType {
                name: "TraceHook".to_owned(),
                source: HookSource::Plugin { name: "trace".into(), version: "1.0.0".into(), path },
                points: vec![HookPoint::BeforeRun, HookPoint::AfterTrainIter],
                priority: Some(70),
                kwargs_schema: json!({"properties": {"out": {"type": "string"}}, "required": ["out"]}),
            };
            match written {
                "TraceHook" => Ok(trace),
                name => {
                    FoundType::built_in(name).ok_or(format!("expected a hook type, found {name}"))
                }
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
    fn folders_searched_are_shown_once_for_several_unknown_types() {
        let problem = |key: &str| PlanProblem {
            location: None,
            key: key.to_owned(),
            message: "found none\n  searched: /p".to_owned(),
        };
        let error = PlanError { config: "a.py".into(), problems: vec![problem("x"), problem("y")] };
        assert_eq!(
            error.to_string(),
            "a.py: 2 things are wrong with its hooks\n  a.py: x: found none\n  \
             a.py: y: found none\n    searched: /p"
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
