//! Every optimizer by its name. Knows nothing of parameters.

use serde_json::{Map, Value as Json, json};
use snaphook_components::{ComponentError, Declared, Role, read, type_name, unknown_type};
use snaphook_schedules::Quantity;

use crate::settings::{
    Adadelta, Adagrad, Adam, AdamW, Adamax, Asgd, Lion, NAdam, RAdam, RMSprop, Rprop, Settings, Sgd,
};
use crate::{Hyper, UpdateRule};

type ReadFn = fn(&Json, &str) -> Result<Hyper, ComponentError>;

struct Known {
    name: &'static str,
    schema: &'static str,
    read: ReadFn,
    declare: fn() -> Declared,
}

const fn known<S: Settings>() -> Known {
    Known {
        name: S::NAMES[0],
        schema: S::SCHEMA,
        read: |config, path| read::<S>(config, path).map(|settings| settings.hyper()),
        declare: Declared::of::<S>,
    }
}

const ALL: [Known; 12] = [
    known::<Adadelta>(),
    known::<Adagrad>(),
    known::<Adam>(),
    known::<AdamW>(),
    known::<Adamax>(),
    known::<Asgd>(),
    known::<Lion>(),
    known::<NAdam>(),
    known::<RAdam>(),
    known::<RMSprop>(),
    known::<Rprop>(),
    known::<Sgd>(),
];

/// The optimizer of a config with its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    name: &'static str,
    /// All keyword arguments, those that were not given with their defaults.
    arguments: Map<String, Json>,
    hyper: Hyper,
    has_weight_decay: bool,
}

impl Optimizer {
    /// Reads the `optimizer` of an `optim_wrapper`, found at the key path `path`.
    ///
    /// Errors: an optimizer that is not known, or known and not here, with the reason; wrong arguments.
    pub fn read(config: &Json, path: &str) -> Result<Optimizer, ComponentError> {
        let name = type_name(Role::Optimizer, config, path)?;
        let known = find(name).ok_or_else(|| unknown(config, path))?;
        let hyper = (known.read)(config, path)?;
        let given = config.as_object().cloned().unwrap_or_default();
        let mut arguments = Map::new();
        for (key, property) in properties(known) {
            match given.get(&key).filter(|value| !value.is_null()) {
                Some(value) => arguments.insert(key, value.clone()),
                None => arguments.insert(key, property["default"].clone()),
            };
        }
        let has_weight_decay = given.get("weight_decay").is_some_and(|value| !value.is_null());
        Ok(Optimizer { name: known.name, arguments, hyper, has_weight_decay })
    }

    /// Its type name, such as `SGD`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The numbers of its updates.
    pub fn hyper(&self) -> &Hyper {
        &self.hyper
    }

    /// All keyword arguments, those that were not given with their defaults.
    pub fn arguments(&self) -> &Map<String, Json> {
        &self.arguments
    }

    /// Whether the config gives a weight decay, as rules that multiply it need.
    pub fn has_weight_decay(&self) -> bool {
        self.has_weight_decay
    }

    /// The same optimizer with other arguments, and the entries of `changes` that are no arguments of it.
    ///
    /// Errors: wrong arguments, at the key path `path`.
    pub fn with(
        &self,
        changes: &Map<String, Json>,
        path: &str,
    ) -> Result<(Optimizer, Map<String, Json>), ComponentError> {
        let mut changed = self.clone();
        let mut others = Map::new();
        for (key, value) in changes {
            match changed.arguments.get_mut(key) {
                Some(argument) => *argument = value.clone(),
                None => drop(others.insert(key.clone(), value.clone())),
            }
        }
        let mut config = Json::Object(changed.arguments.clone());
        config["type"] = json!(self.name);
        let known = find(self.name).expect("an optimizer that was read by this name");
        changed.hyper = (known.read)(&config, path)?;
        Ok((changed, others))
    }

    /// Whether it has a number of this kind that a schedule could drive.
    pub fn has(&self, quantity: Quantity) -> bool {
        let rule: UpdateRule = self.hyper.rule;
        rule.has(quantity)
    }
}

pub(crate) fn declared() -> Vec<Declared> {
    ALL.iter().map(|known| (known.declare)()).collect()
}

fn find(name: &str) -> Option<&'static Known> {
    ALL.iter().find(|known| known.name == name)
}

fn properties(known: &Known) -> Map<String, Json> {
    let schema: Json = serde_json::from_str(known.schema).expect("the derive macro's schema");
    schema["properties"].as_object().cloned().unwrap_or_default()
}

fn unknown(config: &Json, path: &str) -> ComponentError {
    let names: Vec<&str> = ALL.iter().map(|known| known.name).collect();
    unknown_type(Role::Optimizer, &config["type"], path, &names).into()
}
