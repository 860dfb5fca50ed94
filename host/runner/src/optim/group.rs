//! A group of parameters with its learning rate and the other numbers of its updates, and how they are read.
//! Knows nothing of tensors.

use serde_json::{Map, Value as Json, json};

use super::OptimError;
use super::algorithm::{Algorithm, Hyper};
use snaphook_schedules::{Kwargs, KwargsError, Quantity, did_you_mean};

/// Parameters that are trained alike.
///
/// MMEngine makes one group for each parameter when there is a `paramwise_cfg`; here equal ones are merged. The first
/// group is that of the first parameter, so its learning rate, which logs show, is the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub(super) hyper: Hyper,
    /// The values of the configuration; an edited one wins over a saved one.
    pub(super) configured: Hyper,
    pub(super) initial: [Option<f64>; 3],
    /// Other keys of `custom_keys` entries, kept for whoever looks at groups.
    pub(super) extra: Map<String, Json>,
    pub(super) parameters: Vec<String>,
}

impl Group {
    pub(super) fn new(hyper: Hyper) -> Group {
        Group {
            hyper,
            configured: hyper,
            initial: [None; 3],
            extra: Map::new(),
            parameters: Vec::new(),
        }
    }

    /// The learning rate of the next update.
    pub fn lr(&self) -> f64 {
        self.hyper.learning_rate
    }

    /// SGD's momentum, or Adam's first beta.
    pub fn momentum(&self) -> f64 {
        self.hyper.momentum
    }

    /// Adam's two betas; the second has no meaning for SGD.
    pub fn betas(&self) -> (f64, f64) {
        (self.hyper.momentum, self.hyper.beta2)
    }

    /// The weight decay.
    pub fn weight_decay(&self) -> f64 {
        self.hyper.weight_decay
    }

    /// The learning rate before any schedule, once a schedule was built.
    pub fn initial_lr(&self) -> Option<f64> {
        self.initial[Quantity::LearningRate as usize]
    }

    /// Keys of `custom_keys` that are not numbers of the update, such as `lr_mult`.
    pub fn extra(&self) -> &Map<String, Json> {
        &self.extra
    }

    /// The names of its parameters, in the model's order.
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// Its numbers as JSON: `lr`, `momentum`, `weight_decay`, `initial_lr`, `params` (how many) and the `extra` keys.
    pub fn to_json(&self) -> Json {
        let mut json = json!({
            "lr": self.lr(),
            "momentum": self.momentum(),
            "weight_decay": self.weight_decay(),
            "initial_lr": self.initial_lr(),
            "params": self.parameters.len(),
        });
        for (key, value) in &self.extra {
            json[key] = value.clone();
        }
        json
    }

    pub(super) fn value(&self, quantity: Quantity) -> f64 {
        match quantity {
            Quantity::LearningRate => self.hyper.learning_rate,
            Quantity::Momentum => self.hyper.momentum,
            Quantity::WeightDecay => self.hyper.weight_decay,
        }
    }

    pub(super) fn set_value(&mut self, quantity: Quantity, value: f64) {
        match quantity {
            Quantity::LearningRate => self.hyper.learning_rate = value,
            Quantity::Momentum => self.hyper.momentum = value,
            Quantity::WeightDecay => self.hyper.weight_decay = value,
        }
    }

    /// Whether parameters of both would always be trained alike.
    pub(super) fn trains_like(&self, other: &Group) -> bool {
        self.hyper == other.hyper && self.extra == other.extra
    }

    pub(super) fn save(&self) -> Json {
        json!({
            "values": hyper_json(&self.hyper),
            "configured": hyper_json(&self.configured),
            "initial": self.initial,
            "parameters": self.parameters,
        })
    }

    /// Takes over saved values; returns what was edited in the configuration since, which wins.
    pub(super) fn load(&mut self, saved: &Json) -> Option<Vec<String>> {
        let configured = hyper_json(&self.configured);
        let mut values = hyper_json(&self.hyper);
        let mut edits = Vec::new();
        for (key, now) in configured.as_object()? {
            let was = saved.get("configured")?.get(key)?;
            if was == now {
                values[key] = saved.get("values")?.get(key)?.clone();
            } else {
                edits.push(format!("{key} was {was}, is now {now}"));
            }
        }
        self.hyper = hyper_from(&values)?;
        if edits.is_empty() {
            for (initial, saved) in self.initial.iter_mut().zip(saved.get("initial")?.as_array()?) {
                *initial = saved.as_f64();
            }
        }
        Some(edits)
    }
}

/// What an `optimizer` object says: the kind, its numbers, and whether a weight decay was given.
pub(super) struct OptimizerConfig {
    pub(super) algorithm: Algorithm,
    pub(super) hyper: Hyper,
    pub(super) has_weight_decay: bool,
}

/// Reads the `optimizer` object of an `optim_wrapper`.
pub(super) fn read_optimizer(config: &Json) -> Result<OptimizerConfig, OptimError> {
    let kwargs = Kwargs::of("optimizer", config)?;
    let name =
        kwargs.text("type")?.ok_or_else(|| kwargs.missing("type", "the name of an optimizer"))?;
    let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name);
    let algorithm = algorithm.ok_or_else(|| unknown_optimizer(name))?;
    let kwargs = Kwargs::of(name, config)?;
    let hyper = read_hyper(algorithm, &kwargs)?;
    // Ways to compute the same update, which do not concern this one.
    kwargs.accept(&["foreach", "fused", "differentiable", "capturable"]);
    kwargs.finish()?;
    let has_weight_decay = config.get("weight_decay").is_some_and(|value| !value.is_null());
    Ok(OptimizerConfig { algorithm, hyper, has_weight_decay })
}

fn unknown_optimizer(name: &str) -> OptimError {
    let names = Algorithm::ALL.map(Algorithm::name);
    OptimError::UnknownType {
        what: "optimizer",
        name: name.to_owned(),
        hint: did_you_mean(name, names),
        known: names.join(", "),
    }
}

type Range = (&'static str, fn(f64) -> bool);
const NOT_NEGATIVE: Range = ("a number of 0 or more", |x| x >= 0.0);
const BELOW_ONE: fn(f64) -> bool = |x| (0.0..1.0).contains(&x);

fn read_hyper(algorithm: Algorithm, kwargs: &Kwargs<'_>) -> Result<Hyper, KwargsError> {
    let decay = if algorithm == Algorithm::AdamW { 1e-2 } else { 0.0 };
    let mut hyper = Hyper {
        learning_rate: kwargs.number_where("lr", 1e-3, NOT_NEGATIVE)?,
        momentum: 0.0,
        weight_decay: kwargs.number_where("weight_decay", decay, NOT_NEGATIVE)?,
        beta2: 0.0,
        eps: 0.0,
        dampening: 0.0,
        nesterov: false,
        amsgrad: false,
        maximize: kwargs.boolean("maximize", false)?,
    };
    if algorithm == Algorithm::Sgd {
        hyper.momentum = kwargs.number_where("momentum", 0.0, NOT_NEGATIVE)?;
        hyper.dampening = kwargs.number("dampening", 0.0)?;
        hyper.nesterov = kwargs.boolean("nesterov", false)?;
        if hyper.nesterov && (hyper.momentum == 0.0 || hyper.dampening != 0.0) {
            return Err(kwargs.wrong(
                "nesterov",
                "a momentum and no dampening together with it",
                &json!(true),
            ));
        }
        return Ok(hyper);
    }
    let betas = kwargs.numbers("betas")?.unwrap_or_else(|| vec![0.9, 0.999]);
    match betas[..] {
        [beta1, beta2] if BELOW_ONE(beta1) && BELOW_ONE(beta2) => {
            hyper.momentum = beta1;
            hyper.beta2 = beta2;
        }
        _ => return Err(kwargs.wrong("betas", "two numbers from 0 to below 1", &json!(betas))),
    }
    hyper.eps = kwargs.number_where("eps", 1e-8, NOT_NEGATIVE)?;
    hyper.amsgrad = kwargs.boolean("amsgrad", false)?;
    Ok(hyper)
}

fn hyper_json(hyper: &Hyper) -> Json {
    json!({
        "lr": hyper.learning_rate,
        "momentum": hyper.momentum,
        "weight_decay": hyper.weight_decay,
        "beta2": hyper.beta2,
        "eps": hyper.eps,
        "dampening": hyper.dampening,
        "nesterov": hyper.nesterov,
        "amsgrad": hyper.amsgrad,
        "maximize": hyper.maximize,
    })
}

fn hyper_from(json: &Json) -> Option<Hyper> {
    let number = |key: &str| json.get(key)?.as_f64();
    let flag = |key: &str| json.get(key)?.as_bool();
    Some(Hyper {
        learning_rate: number("lr")?,
        momentum: number("momentum")?,
        weight_decay: number("weight_decay")?,
        beta2: number("beta2")?,
        eps: number("eps")?,
        dampening: number("dampening")?,
        nesterov: flag("nesterov")?,
        amsgrad: flag("amsgrad")?,
        maximize: flag("maximize")?,
    })
}
