//! The average of a model's weights, updated in place and exchanged with the model's own.
//! Knows nothing of hooks or files.

use serde_json::{Value as Json, json};
use snaphook_components::ComponentError;
use tch::{Kind, Tensor, no_grad};

use super::places::{Place, make_places};
use super::strategy::{Settings, Strategy};
use crate::state::{Entry, ModelState};

/// Tensors with their names, in the model's order.
pub type NamedTensors = Vec<(String, Tensor)>;

/// An average that cannot be built or loaded.
#[derive(Debug, thiserror::Error)]
pub enum AveragingError {
    /// Wrong arguments.
    #[error("weight {0}")]
    Settings(#[from] ComponentError),
    /// No average has this name.
    #[error("weight average: unknown type `{name}`{hint} (known: {known})")]
    UnknownType {
        /// The name in the configuration.
        name: String,
        /// The nearest known name as a question.
        hint: String,
        /// All known names.
        known: String,
    },
    /// Saved tensors that do not fit the model.
    #[error("saved weight average: {0}")]
    OtherModel(String),
}

/// A running average of a model's float parameters, and with `update_buffers` of its float buffers.
///
/// Other buffers have no average: in MMEngine's averaged model they follow the model's own, so here they are the model's.
/// (With `update_buffers`, MMEngine's averaged model keeps whole-number buffers as they were at the first update; they
/// take no part in the forward pass, and here they are the model's too.)
#[derive(Debug)]
pub struct Averager {
    strategy: Strategy,
    interval: u64,
    update_buffers: bool,
    steps: u64,
    is_swapped: bool,
    places: Vec<Place>,
}

impl Averager {
    /// Builds an average from its configuration: `type` (ExponentialMovingAverage, MomentumAnnealingEMA, ExpMomentumEMA
    /// or StochasticWeightAverage), `momentum`, `gamma`, `interval`, `update_buffers`. It starts as a copy of the model.
    ///
    /// Errors: unknown type or key, values out of range.
    pub fn build(config: &Json, state: &ModelState) -> Result<Averager, AveragingError> {
        let Settings { strategy, interval, update_buffers } = Strategy::read(config)?;
        let is_chosen = |entry: &Entry| is_float(entry) && (update_buffers || entry.is_parameter());
        let places = no_grad(|| make_places(state.entries(), is_chosen));
        let mut averager =
            Averager { strategy, interval, update_buffers, steps: 0, is_swapped: false, places };
        averager.copy_from(state);
        Ok(averager)
    }

    /// Takes the model's values into the average; the first time it becomes a copy.
    ///
    /// Call it while the model holds its own weights.
    pub fn update(&mut self, state: &ModelState) {
        if self.steps == 0 {
            self.copy_from(state);
        } else if self.steps.is_multiple_of(self.interval) {
            let when = (self.steps, self.interval);
            no_grad(|| {
                for place in &mut self.places {
                    let new = place.gather(state.entries());
                    self.strategy.update(&mut place.average, &new, when);
                }
            });
        }
        self.steps += 1;
    }

    /// Makes the average a copy of the model without counting, as before the step at which averaging begins.
    pub fn copy_from(&mut self, state: &ModelState) {
        no_grad(|| {
            for place in &mut self.places {
                let new = place.gather(state.entries());
                place.average.copy_(&new);
            }
        });
    }

    /// Exchanges the model's values with the averages, in place; a second call changes back.
    pub fn swap(&mut self, state: &ModelState) {
        no_grad(|| {
            for place in &self.places {
                for (entry, mut average) in place.views() {
                    let mut own = state.entries()[entry].tensor.detach();
                    let kept = own.copy();
                    own.copy_(&average);
                    average.copy_(&kept);
                }
            }
        });
        self.is_swapped = !self.is_swapped;
    }

    /// Whether the model holds the averages now.
    pub fn is_swapped(&self) -> bool {
        self.is_swapped
    }

    /// Updates so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What a checkpoint keeps beside the tensors: the number of updates and the configuration.
    pub fn save(&self) -> Json {
        let mut json = self.strategy.to_json();
        json["interval"] = json!(self.interval);
        json["update_buffers"] = json!(self.update_buffers);
        json["steps"] = json!(self.steps);
        json
    }

    /// Two copies of the model's tensors: with the averages where there are any, and as it is trained.
    ///
    /// A checkpoint keeps the first as the weights that people use and the second for a resume, whichever of them the
    /// model holds now.
    ///
    /// Source: MMEngine 0.10.7 `hooks/ema_hook.py`: `state_dict` holds the averages, `ema_state_dict` the raw weights.
    pub fn split(&self, state: &ModelState) -> (NamedTensors, NamedTensors) {
        let (own, exchanged) = (self.named(state, false), self.named(state, true));
        if self.is_swapped { (own, exchanged) } else { (exchanged, own) }
    }

    /// Takes over what [`save`](Averager::save) returned and the averages of a checkpoint; the model is left alone and is
    /// taken to hold its own weights.
    ///
    /// Nothing changes unless everything fits.
    ///
    /// Errors: the number of updates missing; tensors missing or of another shape.
    pub fn load(
        &mut self,
        saved: &Json,
        averaged: &[(String, Tensor)],
    ) -> Result<(), AveragingError> {
        let steps = saved.get("steps").and_then(Json::as_u64);
        let steps = steps
            .ok_or_else(|| AveragingError::OtherModel("expected `steps`, a whole number".into()))?;
        let places = self.places.iter().flat_map(Place::named);
        let copies = places.map(|(name, average)| Ok((find(averaged, name, &average)?, average)));
        let copies = copies.collect::<Result<Vec<_>, AveragingError>>()?;
        no_grad(|| {
            for (tensor, mut average) in copies {
                average.copy_(tensor);
            }
        });
        (self.steps, self.is_swapped) = (steps, false);
        Ok(())
    }

    fn named(&self, state: &ModelState, with_places: bool) -> NamedTensors {
        no_grad(|| {
            let mut tensors: Vec<Option<Tensor>> = state.entries().iter().map(|_| None).collect();
            if with_places {
                for (index, average) in self.places.iter().flat_map(Place::views) {
                    tensors[index] = Some(average.copy());
                }
            }
            let entries = state.entries().iter().zip(tensors);
            let named = entries.map(|(entry, average)| {
                (entry.name.clone(), average.unwrap_or_else(|| entry.tensor.detach().copy()))
            });
            named.collect()
        })
    }
}

fn is_float(entry: &Entry) -> bool {
    matches!(entry.tensor.kind(), Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16)
}

fn find<'a>(
    tensors: &'a [(String, Tensor)],
    name: &str,
    place: &Tensor,
) -> Result<&'a Tensor, AveragingError> {
    let found = tensors.iter().find(|(key, _)| key == name).map(|(_, tensor)| tensor);
    let tensor = found.ok_or_else(|| AveragingError::OtherModel(format!("missing {name}")))?;
    if tensor.size() == place.size() {
        return Ok(tensor);
    }
    let (expected, found) = (place.size(), tensor.size());
    Err(AveragingError::OtherModel(format!("{name}: expected shape {expected:?}, found {found:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Layer, Scope};

    /// Two parameters and two buffers, one of whole numbers.
    fn model() -> ModelState {
        let root = Scope::root(tch::Device::Cpu);
        let mut weight = root.parameter("weight", &[2, 2], Layer::Other);
        let mut bias = root.parameter("bias", &[2], Layer::Other);
        no_grad(|| drop((weight.fill_(1.0), bias.fill_(3.0))));
        let _mean = root.buffer("mean", Tensor::from_slice(&[5.0f32]), Layer::Norm);
        let _count = root.buffer("count", Tensor::from_slice(&[7i64]), Layer::Norm);
        root.finish()
    }

    fn fill(state: &ModelState, name: &str, value: f64) {
        no_grad(|| drop(state.get(name).unwrap().detach().fill_(value)));
    }

    fn first(state: &ModelState, name: &str) -> f64 {
        state.get(name).unwrap().reshape([-1]).double_value(&[0])
    }

    fn averaged(averager: &Averager, state: &ModelState, name: &str) -> f64 {
        let (averaged, _) = averager.split(state);
        averaged.iter().find(|(key, _)| key == name).unwrap().1.reshape([-1]).double_value(&[0])
    }

    #[test]
    fn the_first_update_is_a_copy_and_later_ones_move_by_momentum() {
        let state = model();
        let config = json!({"type": "ExponentialMovingAverage", "momentum": 0.25});
        let mut averager = Averager::build(&config, &state).unwrap();
        fill(&state, "weight", 4.0);
        averager.update(&state);
        assert_eq!(averaged(&averager, &state, "weight"), 4.0);
        fill(&state, "weight", 8.0);
        averager.update(&state);
        assert_eq!(averaged(&averager, &state, "weight"), 5.0);
        assert_eq!(averager.steps(), 2);
    }

    #[test]
    fn yolox_average_starts_fast_and_slows_down() {
        let state = model();
        let config =
            json!({"type": "mmdet.ExpMomentumEMA", "momentum": 0.0001, "update_buffers": true});
        let mut averager = Averager::build(&config, &state).unwrap();
        averager.update(&state);
        fill(&state, "weight", 3.0);
        fill(&state, "mean", 9.0);
        averager.update(&state);
        // (1 - 0.0001) * exp(-2 / 2000) + 0.0001, from 1 to 3 and from 5 to 9.
        let momentum = 0.9999 * (-2.0f64 / 2000.0).exp() + 0.0001;
        assert!((averaged(&averager, &state, "weight") - (1.0 + 2.0 * momentum)).abs() < 1e-6);
        assert!((averaged(&averager, &state, "mean") - (5.0 + 4.0 * momentum)).abs() < 1e-6);
    }

    #[test]
    fn the_stochastic_average_is_the_mean_of_all() {
        let state = model();
        let mut averager =
            Averager::build(&json!({"type": "StochasticWeightAverage"}), &state).unwrap();
        for value in [2.0, 4.0, 9.0] {
            fill(&state, "bias", value);
            averager.update(&state);
        }
        assert!((averaged(&averager, &state, "bias") - 5.0).abs() < 1e-6);
    }

    #[test]
    fn between_intervals_nothing_moves_and_buffers_follow_the_model() {
        let state = model();
        let mut averager =
            Averager::build(&json!({"interval": 2, "momentum": 0.5}), &state).unwrap();
        averager.update(&state);
        fill(&state, "weight", 5.0);
        fill(&state, "mean", 6.0);
        averager.update(&state);
        assert_eq!(averaged(&averager, &state, "weight"), 1.0);
        assert_eq!(averaged(&averager, &state, "mean"), 6.0);
        averager.update(&state);
        assert_eq!(averaged(&averager, &state, "weight"), 3.0);
    }

    #[test]
    fn swapping_twice_changes_nothing_and_a_split_tells_both_apart_at_any_time() {
        let state = model();
        let mut averager = Averager::build(&json!({"momentum": 0.5}), &state).unwrap();
        fill(&state, "weight", 10.0);
        averager.swap(&state);
        assert_eq!(first(&state, "weight"), 1.0);
        assert_eq!(averaged(&averager, &state, "weight"), 1.0);
        let (_, raw) = averager.split(&state);
        assert_eq!(raw[0].1.double_value(&[0, 0]), 10.0);
        averager.swap(&state);
        assert_eq!(first(&state, "weight"), 10.0);
        assert_eq!(averaged(&averager, &state, "weight"), 1.0);
    }

    #[test]
    fn a_resumed_average_goes_on_to_the_same_bits() {
        let config = json!({"type": "ExpMomentumEMA", "momentum": 0.0003});
        let (state, other) = (model(), model());
        let mut averager = Averager::build(&config, &state).unwrap();
        averager.update(&state);
        fill(&state, "weight", 0.3);
        averager.update(&state);
        let (saved, (tensors, _)) = (averager.save(), averager.split(&state));

        let mut resumed = Averager::build(&config, &other).unwrap();
        resumed.load(&saved, &tensors).unwrap();
        for (averager, state) in [(&mut averager, &state), (&mut resumed, &other)] {
            fill(state, "weight", 0.7);
            averager.update(state);
        }
        assert_eq!(averaged(&averager, &state, "weight"), averaged(&resumed, &other, "weight"));
        let message = resumed.load(&saved, &tensors[1..]).unwrap_err().to_string();
        assert_eq!(message, "saved weight average: missing weight");
    }

    #[test]
    fn the_average_follows_parameters_that_an_optimizer_moved() {
        let state = model();
        let mut averager = Averager::build(&json!({"momentum": 0.5}), &state).unwrap();
        averager.update(&state);
        let config = json!({"optimizer": {"type": "SGD", "lr": 1.0}});
        let _optim = crate::optim::OptimWrapper::build(&config, &state).unwrap();
        fill(&state, "weight", 3.0);
        averager.update(&state);
        assert_eq!(averaged(&averager, &state, "weight"), 2.0);
    }

    #[test]
    fn averages_equal_those_of_mmengine_after_every_update() {
        let golden: Json = serde_json::from_str(include_str!("golden/values.json")).unwrap();
        for case in golden.as_array().unwrap() {
            let root = Scope::root(tch::Device::Cpu);
            let _weight = root.parameter("weight", &[3], Layer::Other);
            let _mean = root.buffer(
                "mean",
                Tensor::zeros([2], (Kind::Float, tch::Device::Cpu)),
                Layer::Norm,
            );
            let state = root.finish();
            let set = |name: &str, values: &Json| {
                let values: Vec<f64> =
                    values.as_array().unwrap().iter().filter_map(Json::as_f64).collect();
                no_grad(|| state.get(name).unwrap().detach().copy_(&Tensor::from_slice(&values)));
            };
            set("weight", &case["initial"]["weight"]);
            set("mean", &case["initial"]["mean"]);
            let mut averager = Averager::build(&case["average"], &state).unwrap();
            for step in case["steps"].as_array().unwrap() {
                set("weight", &step["weight"]);
                set("mean", &step["mean"]);
                averager.update(&state);
                let (averaged, _) = averager.split(&state);
                for (name, found) in averaged {
                    let expected: Vec<f64> = step["average"][&name]
                        .as_array()
                        .unwrap()
                        .iter()
                        .filter_map(Json::as_f64)
                        .collect();
                    let found = Vec::<f64>::try_from(found.to_kind(Kind::Double)).unwrap();
                    for (found, expected) in found.into_iter().zip(expected) {
                        // A product and a sum may be fused on one side.
                        let tolerance = 2.0 * f64::from(f32::EPSILON) * expected.abs().max(1.0);
                        assert!(
                            (found - expected).abs() <= tolerance,
                            "{}: {found} {expected}",
                            case["average"]
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn wrong_arguments_are_named() {
        let error = |config: Json| Averager::build(&config, &model()).unwrap_err().to_string();
        let key = error(json!({"type": "ExpMomentumEMA", "momentun": 0.1}));
        assert!(key.starts_with("weight average.momentun: unknown key"), "{key}");
        assert!(key.contains("did you mean `momentum`?"), "{key}");
        let momentum = error(json!({"momentum": 1.0}));
        assert!(momentum.contains("expected a number between 0 and 1"), "{momentum}");
    }

    #[test]
    fn a_misspelt_type_gets_a_suggestion() {
        let error =
            Averager::build(&json!({"type": "ExpMomentumEma"}), &model()).unwrap_err().to_string();
        assert!(error.contains("did you mean `ExpMomentumEMA`?"), "{error}");
    }
}
