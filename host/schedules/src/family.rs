//! Every scheduler by its name: ten families of MMEngine's and one of MMDetection's, in up to three forms.
//! Knows nothing of the values they set.

use serde_json::{Value as Json, json};
use snaphook_components::{Declared, Role};
use snaphook_plugin_api::nearest;

use crate::scheduler::Plan;
use crate::settings::{
    Constant, CosineAnnealing, CosineRestart, Exponential, Family, Linear, MultiStep, OneCycle,
    Place, Poly, QuadraticWarmup, ReduceOnPlateau, Step,
};
use crate::span::Span;
use crate::{Quantity, ScheduleContext, ScheduleError};

/// A scheduler as a configuration can name it.
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulerType {
    /// `MultiStepLR`.
    pub name: String,
    /// What it does, in a sentence or two.
    pub summary: &'static str,
    /// JSON schema of its keyword arguments, without `type`.
    pub schema: Json,
}

/// Every scheduler that a configuration can name, the forms of a family together.
///
/// ```
/// let types = snaphook_schedules::scheduler_types();
/// let multi_step = types.iter().find(|known| known.name == "MultiStepLR").expect("a known name");
/// assert_eq!(multi_step.schema["required"], serde_json::json!(["milestones"]));
/// ```
pub fn scheduler_types() -> Vec<SchedulerType> {
    let forms = FAMILIES.iter().flat_map(|family| family.forms().map(move |form| (family, form)));
    forms.map(|(family, form)| family.describe(form)).collect()
}

/// The same for a catalog of components.
pub fn declared() -> Vec<Declared> {
    let declare = |known: SchedulerType| {
        Declared::from_schema(Role::ParamScheduler, &known.name, known.summary, known.schema)
    };
    scheduler_types().into_iter().map(declare).collect()
}

/// What a form of a family drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    LearningRate,
    Momentum,
    /// What `param_name` says.
    Named,
}

impl Form {
    const ALL: [Form; 3] = [Form::LearningRate, Form::Momentum, Form::Named];

    fn suffix(self) -> &'static str {
        match self {
            Form::LearningRate => "LR",
            Form::Momentum => "Momentum",
            Form::Named => "ParamScheduler",
        }
    }
}

type PlanFn =
    fn(&Json, ScheduleContext, (&Place<'_>, Quantity, usize)) -> Result<Plan, ScheduleError>;

struct FamilyEntry {
    stem: &'static str,
    summary: &'static str,
    schema: &'static str,
    plan: PlanFn,
}

const fn entry<F: Family>(stem: &'static str) -> FamilyEntry {
    FamilyEntry { stem, summary: F::SUMMARY, schema: F::SCHEMA, plan: plan_of::<F> }
}

const FAMILIES: [FamilyEntry; 11] = [
    entry::<Constant>("Constant"),
    entry::<CosineAnnealing>("CosineAnnealing"),
    entry::<CosineRestart>("CosineRestart"),
    entry::<Exponential>("Exponential"),
    entry::<Linear>("Linear"),
    entry::<MultiStep>("MultiStep"),
    entry::<OneCycle>("OneCycle"),
    entry::<Poly>("Poly"),
    entry::<QuadraticWarmup>("QuadraticWarmup"),
    entry::<ReduceOnPlateau>("ReduceOnPlateau"),
    entry::<Step>("Step"),
];

impl FamilyEntry {
    /// MMEngine has no OneCycleMomentum.
    fn forms(&self) -> impl Iterator<Item = Form> {
        let has_momentum = self.stem != "OneCycle";
        Form::ALL.into_iter().filter(move |form| has_momentum || *form != Form::Momentum)
    }

    fn name(&self, form: Form) -> String {
        format!("{}{}", self.stem, form.suffix())
    }

    fn schema(&self) -> Json {
        serde_json::from_str(self.schema).expect("the schema that the derive macro wrote")
    }

    fn describe(&self, form: Form) -> SchedulerType {
        let mut schema = self.schema();
        if form == Form::Named {
            let choices = self.quantities().map(Quantity::name).collect::<Vec<_>>();
            schema["properties"]["param_name"] = json!({
                "type": "string",
                "enum": choices,
                "description": "What it drives.",
            });
            let required = schema["required"].as_array_mut().expect("a list of required arguments");
            required.push(json!("param_name"));
        }
        SchedulerType { name: self.name(form), summary: self.summary, schema }
    }

    fn quantities(&self) -> impl Iterator<Item = Quantity> {
        // As in MMEngine, one cycle is for learning rates.
        let count = if self.stem == "OneCycle" { 1 } else { Quantity::ALL.len() };
        Quantity::ALL.into_iter().take(count)
    }
}

/// Reads one scheduler of the configuration, found at `key`, for `group_count` groups.
pub(crate) fn plan(
    key: &str,
    config: &Json,
    (context, group_count): (ScheduleContext, usize),
) -> Result<Plan, ScheduleError> {
    let Some(mut arguments) = config.as_object().cloned() else {
        let message = format!("{key}: expected a scheduler, found {config}");
        return Err(ScheduleError::Settings(message));
    };
    arguments.remove("_scope_");
    let full_name = match arguments.remove("type") {
        Some(Json::String(name)) => name,
        found => {
            let found = found.map_or("nothing".into(), |found| found.to_string());
            let message = format!("{key}.type: expected the name of a scheduler, found {found}");
            return Err(ScheduleError::Settings(message));
        }
    };
    let name = full_name.rsplit('.').next().unwrap_or(&full_name);
    let (family, form) = find(name).ok_or_else(|| unknown(key, name))?;
    let place = Place { key, name };
    let quantity = match form {
        Form::LearningRate => Quantity::LearningRate,
        Form::Momentum => Quantity::Momentum,
        Form::Named => {
            let found = arguments.remove("param_name").unwrap_or_default();
            let named = family.quantities().find(|quantity| found == quantity.name());
            let names = family.quantities().map(Quantity::name).collect::<Vec<_>>().join(" or ");
            named.ok_or_else(|| place.wrong("param_name", &names, &found))?
        }
    };
    let mut plan =
        (family.plan)(&arguments.clone().into(), context, (&place, quantity, group_count))?;
    plan.settings = family.settings(arguments, &plan);
    Ok(plan)
}

impl FamilyEntry {
    /// All that decides the values: arguments with their defaults, and the span as it is counted.
    fn settings(&self, mut arguments: serde_json::Map<String, Json>, plan: &Plan) -> Json {
        for (name, property) in self.schema()["properties"].as_object().into_iter().flatten() {
            if let Some(default) = property.get("default") {
                arguments.entry(name.clone()).or_insert_with(|| default.clone());
            }
        }
        arguments.remove("verbose");
        arguments.retain(|_, value| !value.is_null());
        arguments.insert("begin".into(), json!(plan.begin));
        arguments.insert("end".into(), json!(plan.end));
        arguments.insert("scale".into(), json!(plan.scale));
        arguments.insert("quantity".into(), json!(plan.quantity.name()));
        arguments.sort_keys();
        Json::Object(arguments)
    }
}

fn plan_of<F: Family>(
    arguments: &Json,
    context: ScheduleContext,
    (place, quantity, group_count): (&Place<'_>, Quantity, usize),
) -> Result<Plan, ScheduleError> {
    let family = F::from_kwargs(place.key, arguments)
        .map_err(|error| ScheduleError::Settings(error.message.replace('\n', "; ")))?;
    let span = Span::of(family.span(), context, place)?;
    let law = family.law(place, &span, group_count)?;
    let Span { begin, end, unit, scale, .. } = span;
    let name = place.name.to_owned();
    Ok(Plan { name, quantity, unit, begin, end, scale, law, settings: Json::Null })
}

fn find(name: &str) -> Option<(&'static FamilyEntry, Form)> {
    let mut known =
        FAMILIES.iter().flat_map(|family| family.forms().map(move |form| (family, form)));
    known.find(|(family, form)| family.name(*form) == name)
}

fn unknown(key: &str, name: &str) -> ScheduleError {
    let names: Vec<String> =
        FAMILIES.iter().map(|family| family.name(Form::LearningRate)).collect();
    let all: Vec<String> = FAMILIES
        .iter()
        .flat_map(|family| family.forms().map(|form| family.name(form)).collect::<Vec<_>>())
        .collect();
    ScheduleError::UnknownType {
        key: key.to_owned(),
        name: name.to_owned(),
        hint: nearest(name, all.iter().map(String::as_str))
            .map_or_else(String::new, |near| format!(", did you mean `{near}`?")),
        known: format!("{}, and their Momentum and ParamScheduler forms", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once_and_one_cycle_has_no_momentum() {
        let types = scheduler_types();
        let mut names: Vec<&str> = types.iter().map(|known| known.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), types.len());
        assert_eq!(types.len(), 11 * 3 - 1);
        assert!(!names.contains(&"OneCycleMomentum"));
    }

    #[test]
    fn the_named_form_asks_what_it_drives() {
        let types = scheduler_types();
        let named = types.iter().find(|known| known.name == "StepParamScheduler").unwrap();
        assert_eq!(named.schema["required"], json!(["step_size", "param_name"]));
        let choices = &named.schema["properties"]["param_name"]["enum"];
        assert_eq!(choices, &json!(["lr", "momentum", "weight_decay"]));
    }
}
