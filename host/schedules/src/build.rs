//! From one entry of `param_scheduler` to a schedule.
//! Knows nothing of the values it will set.
//!
//! Differs from MMEngine: a start or constant factor of 0, which divides by zero there in the middle of training, a
//! one-cycle schedule that is too short, and step sizes and periods below 1 are refused here.

use serde_json::{Map, Value as Json, json};

use crate::rule::{Floor, Level, Peaks, Phase, Rule};
use crate::scheduler::Plan;
use crate::{Kwargs, Quantity, ScheduleContext, ScheduleError, Unit, did_you_mean};

/// MMEngine's "no end".
const INFINITE: i64 = 1_000_000_000;

const FAMILIES: [&str; 10] = [
    "Constant",
    "CosineAnnealing",
    "CosineRestart",
    "Exponential",
    "Linear",
    "MultiStep",
    "OneCycle",
    "Poly",
    "QuadraticWarmup",
    "Step",
];

/// Reads one scheduler of the configuration for `group_count` groups.
pub(crate) fn plan(
    config: &Json,
    context: ScheduleContext,
    group_count: usize,
) -> Result<Plan, ScheduleError> {
    let kwargs = Kwargs::of("scheduler", config)?;
    let Some(full_name) = kwargs.text("type")? else {
        return Err(kwargs.missing("type", "the name of a scheduler").into());
    };
    let name = full_name.rsplit('.').next().unwrap_or(full_name).to_owned();
    let (family, quantity) = family(&name)?;
    let kwargs = Kwargs::of(name.clone(), config)?;
    let quantity = match quantity {
        Some(quantity) => quantity,
        None => named_quantity(&kwargs)?,
    };
    let span = Span::read(&kwargs, context)?;
    let rule = read_rule(family, &kwargs, &span, group_count)?;
    kwargs.accept(&["verbose", "epoch_length"]);
    kwargs.finish()?;
    span.check(&name)?;
    check_rule(&name, &rule, &span)?;
    Ok(span.into_plan(name, quantity, (rule, config)))
}

/// Begin, end and unit of a schedule, in steps of that unit.
struct Span {
    begin: i64,
    end: i64,
    unit: Unit,
    /// What epochs are multiplied with: 1 unless `convert_to_iter_based`.
    scale: i64,
}

impl Span {
    fn read(kwargs: &Kwargs<'_>, context: ScheduleContext) -> Result<Span, ScheduleError> {
        let by_epoch = kwargs.boolean("by_epoch", true)?;
        let convert = kwargs.boolean("convert_to_iter_based", false)?;
        if convert && !by_epoch {
            let found = Json::from(false);
            return Err(kwargs
                .wrong("by_epoch", "true together with convert_to_iter_based", &found)
                .into());
        }
        if kwargs.integer("last_step", -1)? != -1 {
            let found = kwargs.raw("last_step").cloned().unwrap_or_default();
            return Err(kwargs
                .wrong("last_step", "-1 (a resume brings its own counters)", &found)
                .into());
        }
        let whole_run = if by_epoch { context.max_epochs } else { context.max_iters };
        let begin = kwargs.number("begin", 0.0)?;
        let end = kwargs.number("end", whole_run as f64)?;
        let scale = if convert { context.epoch_length.max(1) as i64 } else { 1 };
        let scaled_end =
            if end == INFINITE as f64 { INFINITE } else { (end * scale as f64) as i64 };
        let unit = if by_epoch && !convert { Unit::Epoch } else { Unit::Iteration };
        Ok(Span { begin: (begin * scale as f64) as i64, end: scaled_end, unit, scale })
    }

    fn check(&self, name: &str) -> Result<(), ScheduleError> {
        if self.end > self.begin {
            return Ok(());
        }
        let reason =
            format!("expected an end above begin, found begin {} and end {}", self.begin, self.end);
        Err(ScheduleError::Invalid { scheduler: name.to_owned(), reason })
    }

    /// MMEngine's `total_iters`: one less than the steps between begin and end.
    fn total(&self) -> i64 {
        self.end - self.begin - 1
    }

    fn into_plan(self, name: String, quantity: Quantity, (rule, config): (Rule, &Json)) -> Plan {
        let mut settings: Map<String, Json> = config.as_object().cloned().unwrap_or_default();
        settings.remove("verbose");
        settings.insert("begin".into(), json!(self.begin));
        settings.insert("end".into(), json!(self.end));
        settings.insert("scale".into(), json!(self.scale));
        settings.sort_keys();
        let Span { begin, end, unit, .. } = self;
        Plan { name, quantity, unit, begin, end, rule, settings: Json::Object(settings) }
    }
}

fn family(name: &str) -> Result<(&'static str, Option<Quantity>), ScheduleError> {
    let forms = [
        ("LR", Some(Quantity::LearningRate)),
        ("Momentum", Some(Quantity::Momentum)),
        ("ParamScheduler", None),
    ];
    for (suffix, quantity) in forms {
        let stem = name.strip_suffix(suffix);
        let found = FAMILIES.into_iter().find(|family| Some(*family) == stem);
        // MMEngine has no OneCycleMomentum.
        if let Some(family) = found.filter(|family| (*family, suffix) != ("OneCycle", "Momentum")) {
            return Ok((family, quantity));
        }
    }
    let names: Vec<String> = FAMILIES.iter().map(|family| format!("{family}LR")).collect();
    let all =
        FAMILIES.iter().flat_map(|family| forms.map(|(suffix, _)| format!("{family}{suffix}")));
    let all: Vec<String> = all.filter(|name| name != "OneCycleMomentum").collect();
    let hint = did_you_mean(name, all.iter().map(String::as_str));
    let known = format!("{}, and their Momentum and ParamScheduler forms", names.join(", "));
    Err(ScheduleError::UnknownType { name: name.to_owned(), hint, known })
}

fn named_quantity(kwargs: &Kwargs<'_>) -> Result<Quantity, ScheduleError> {
    match kwargs.text("param_name")? {
        Some("lr") => Ok(Quantity::LearningRate),
        Some("momentum") => Ok(Quantity::Momentum),
        Some("weight_decay") => Ok(Quantity::WeightDecay),
        Some(other) => {
            Err(kwargs.wrong("param_name", "lr, momentum or weight_decay", &json!(other)).into())
        }
        None => Err(kwargs.missing("param_name", "lr, momentum or weight_decay").into()),
    }
}

fn read_rule(
    family: &str,
    kwargs: &Kwargs<'_>,
    span: &Span,
    group_count: usize,
) -> Result<Rule, ScheduleError> {
    let total = span.total();
    let start_range: (&str, fn(f64) -> bool) =
        ("a number above 0, at most 1", |x| x > 0.0 && x <= 1.0);
    Ok(match family {
        "Constant" => {
            Rule::Constant { factor: kwargs.number_where("factor", 1.0 / 3.0, start_range)?, total }
        }
        "Linear" => Rule::Linear {
            start: kwargs.number_where("start_factor", 1.0 / 3.0, start_range)?,
            end: kwargs.number_where(
                "end_factor",
                1.0,
                ("a number from 0 to 1", |x| (0.0..=1.0).contains(&x)),
            )?,
            total,
        },
        "MultiStep" => multi_step(kwargs, span)?,
        "Step" => {
            kwargs
                .raw("step_size")
                .ok_or_else(|| kwargs.missing("step_size", "a whole number above 0"))?;
            let size = kwargs.positive_integer("step_size", 1)? * span.scale;
            Rule::Step { size, gamma: kwargs.number("gamma", 0.1)? }
        }
        // Not rescaled by convert_to_iter_based, as in MMEngine: gamma is then a decay per iteration.
        "Exponential" => Rule::Exponential { gamma: kwargs.required_number("gamma")? },
        "CosineAnnealing" => cosine(kwargs, span)?,
        "CosineRestart" => cosine_restart(kwargs, span)?,
        "Poly" => Rule::Poly {
            floor: kwargs.number("eta_min", 0.0)?,
            power: kwargs.number("power", 1.0)?,
            total,
        },
        "OneCycle" => one_cycle(kwargs, span, group_count)?,
        _ => Rule::QuadraticWarmup { total: span.end - span.begin },
    })
}

fn multi_step(kwargs: &Kwargs<'_>, span: &Span) -> Result<Rule, ScheduleError> {
    let listed = kwargs.integers("milestones")?;
    let listed = listed.ok_or_else(|| kwargs.missing("milestones", "a list of whole numbers"))?;
    let mut milestones = std::collections::BTreeMap::new();
    for milestone in listed {
        *milestones.entry(milestone * span.scale).or_insert(0) += 1;
    }
    Ok(Rule::MultiStep { milestones, gamma: kwargs.number("gamma", 0.1)? })
}

fn floor(kwargs: &Kwargs<'_>) -> Result<Option<Floor>, ScheduleError> {
    match (kwargs.optional_number("eta_min")?, kwargs.optional_number("eta_min_ratio")?) {
        (Some(_), Some(ratio)) => Err(kwargs
            .wrong("eta_min_ratio", "not to be given together with eta_min", &json!(ratio))
            .into()),
        (Some(value), None) => Ok(Some(Floor::Value(value))),
        (None, ratio) => Ok(ratio.map(Floor::ShareOfInitial)),
    }
}

fn cosine(kwargs: &Kwargs<'_>, span: &Span) -> Result<Rule, ScheduleError> {
    let floor = floor(kwargs)?.unwrap_or(Floor::Value(0.0));
    // `T_max or (end - begin)`: 0 stands for the default too.
    let period = match kwargs.integer("T_max", 0)? {
        0 => span.end - span.begin,
        given if given > 0 => given * span.scale,
        given => return Err(kwargs.wrong("T_max", "a whole number above 0", &json!(given)).into()),
    };
    Ok(Rule::Cosine { period, floor })
}

fn cosine_restart(kwargs: &Kwargs<'_>, span: &Span) -> Result<Rule, ScheduleError> {
    let floor =
        floor(kwargs)?.ok_or_else(|| kwargs.missing("eta_min", "a number, or eta_min_ratio"))?;
    let periods = kwargs.integers("periods")?;
    let periods = periods.ok_or_else(|| kwargs.missing("periods", "a list of whole numbers"))?;
    if periods.iter().any(|&period| period < 1) {
        return Err(kwargs.wrong("periods", "whole numbers above 0", &json!(periods)).into());
    }
    let weights = kwargs.numbers("restart_weights")?.unwrap_or_else(|| vec![1.0]);
    if weights.len() != periods.len() {
        let expected = format!("{} numbers, as many as periods", periods.len());
        return Err(kwargs.wrong("restart_weights", &expected, &json!(weights)).into());
    }
    let periods = periods.into_iter().map(|period| period * span.scale).collect();
    Ok(Rule::CosineRestart { periods, weights, floor })
}

fn one_cycle(kwargs: &Kwargs<'_>, span: &Span, group_count: usize) -> Result<Rule, ScheduleError> {
    let values = match kwargs.raw("eta_max") {
        Some(Json::Array(_)) => kwargs.numbers("eta_max")?.unwrap_or_default(),
        _ => vec![kwargs.required_number("eta_max")?; group_count],
    };
    if values.len() != group_count {
        let expected = format!("a number, or {group_count}, one for each group");
        return Err(kwargs.wrong("eta_max", &expected, &json!(values)).into());
    }
    let total = match kwargs.integer("total_steps", 0)? {
        0 => span.end - span.begin,
        given => given * span.scale,
    };
    if total < span.total() {
        let expected = format!("at least {}, the steps from begin to end", span.total());
        return Err(kwargs.wrong("total_steps", &expected, &json!(total)).into());
    }
    let is_linear = match kwargs.text("anneal_strategy")? {
        None | Some("cos") => false,
        Some("linear") => true,
        Some(other) => {
            return Err(kwargs.wrong("anneal_strategy", "cos or linear", &json!(other)).into());
        }
    };
    let share = ("a number from 0 to 1", (|x| (0.0..=1.0).contains(&x)) as fn(f64) -> bool);
    let rise = kwargs.number_where("pct_start", 0.3, share)? * total as f64;
    let peaks = Peaks {
        values,
        initial_divisor: kwargs.number("div_factor", 25.0)?,
        final_divisor: kwargs.number("final_div_factor", 1e4)?,
    };
    let last = (total - 1) as f64;
    let phases = if kwargs.boolean("three_phase", false)? {
        vec![
            Phase { end: rise - 1.0, from: Level::Initial, to: Level::Peak },
            Phase { end: 2.0 * rise - 2.0, from: Level::Peak, to: Level::Initial },
            Phase { end: last, from: Level::Initial, to: Level::Final },
        ]
    } else {
        vec![
            Phase { end: rise - 1.0, from: Level::Initial, to: Level::Peak },
            Phase { end: last, from: Level::Peak, to: Level::Final },
        ]
    };
    Ok(Rule::OneCycle { phases, peaks, is_linear })
}

fn check_rule(name: &str, rule: &Rule, span: &Span) -> Result<(), ScheduleError> {
    let reason = match rule {
        Rule::QuadraticWarmup { .. } if span.end >= INFINITE => {
            "expected an end, the step at which warm-up is over"
        }
        _ => return Ok(()),
    };
    Err(ScheduleError::Invalid { scheduler: name.to_owned(), reason: reason.to_owned() })
}
