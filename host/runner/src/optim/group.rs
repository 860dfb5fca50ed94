//! A group of parameters with its learning rate and the other numbers of its updates.
//! Knows nothing of tensors.

use serde_json::{Map, Value as Json, json};
use snaphook_optimizers::{Hyper, ParameterSettings, UpdateRule};
use snaphook_schedules::Quantity;

/// Parameters that are trained alike.
///
/// MMEngine makes one group for each parameter when there is a `paramwise_cfg`; here equal ones are merged. The first
/// group is that of the first parameter, so its learning rate, which logs show, is the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub(super) hyper: Hyper,
    /// The optimizer's arguments in the configuration; an edited one wins over a saved one.
    configured: Map<String, Json>,
    pub(super) initial: [Option<f64>; 3],
    /// Other keys of `custom_keys` entries, kept for whoever looks at groups.
    extra: Map<String, Json>,
    pub(super) parameters: Vec<String>,
}

impl Group {
    pub(super) fn new(settings: ParameterSettings) -> Group {
        let ParameterSettings { hyper, arguments, extra } = settings;
        Group { hyper, configured: arguments, initial: [None; 3], extra, parameters: Vec::new() }
    }

    /// The learning rate of the next update.
    pub fn lr(&self) -> f64 {
        self.hyper.learning_rate
    }

    /// The momentum, or the first beta of Adam and its kin.
    pub fn momentum(&self) -> f64 {
        self.hyper.momentum
    }

    /// The two betas of Adam and its kin; `None` for other optimizers.
    pub fn betas(&self) -> Option<(f64, f64)> {
        match self.hyper.rule {
            UpdateRule::Adam { beta2, .. }
            | UpdateRule::Adamax { beta2, .. }
            | UpdateRule::NAdam { beta2, .. }
            | UpdateRule::RAdam { beta2, .. }
            | UpdateRule::Lion { beta2, .. } => Some((self.hyper.momentum, beta2)),
            _ => None,
        }
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

    /// Multiplies the learning rate, as if it were configured so.
    pub(super) fn scale_learning_rate(&mut self, factor: f64) {
        self.hyper.learning_rate *= factor;
        self.configured.insert("lr".to_owned(), json!(self.hyper.learning_rate));
    }

    /// Whether parameters of both would always be trained alike.
    pub(super) fn trains_like(&self, other: &ParameterSettings) -> bool {
        self.hyper == other.hyper && self.extra == other.extra
    }

    pub(super) fn save(&self) -> Json {
        json!({
            "values": Quantity::ALL.map(|quantity| self.hyper.value(quantity)),
            "configured": self.configured,
            "initial": self.initial,
            "parameters": self.parameters,
        })
    }

    /// Takes over saved values; returns what was edited in the configuration since, which wins.
    pub(super) fn load(&mut self, saved: &Json) -> Option<Vec<String>> {
        let configured = saved.get("configured")?.as_object()?;
        let mut edited = Vec::new();
        let mut edits = Vec::new();
        for (key, now) in &self.configured {
            let was = configured.get(key).unwrap_or(&Json::Null);
            if !is_same(was, now) {
                edited.push(key.as_str());
                edits.push(format!("{key} was {was}, is now {now}"));
            }
        }
        let values = saved.get("values")?.as_array()?;
        for (quantity, value) in Quantity::ALL.into_iter().zip(values) {
            let keys: &[&str] = match quantity {
                Quantity::LearningRate => &["lr"],
                Quantity::Momentum => &["momentum", "betas"],
                Quantity::WeightDecay => &["weight_decay"],
            };
            if !keys.iter().any(|key| edited.contains(key)) {
                self.hyper.set_value(quantity, value.as_f64()?);
            }
        }
        if edits.is_empty() {
            for (initial, saved) in self.initial.iter_mut().zip(saved.get("initial")?.as_array()?) {
                *initial = saved.as_f64();
            }
        }
        Some(edits)
    }
}

/// Whether two arguments mean the same: 0 and 0.0 do.
fn is_same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Json::Number(a), Json::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}
