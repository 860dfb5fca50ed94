//! The optimizer as a loop uses it, against libtorch's own.

use serde_json::{Value as Json, json};
use tch::{Device, Kind, Tensor, no_grad};

use super::OptimWrapper;
use crate::state::{Layer, ModelState, Scope};

const CONVOLUTION: Layer = Layer::Convolution { in_channels: 3, groups: 1 };

/// A convolution without bias, its norm, and a bias of another layer; values from a fixed seed.
fn model() -> ModelState {
    let root = Scope::root(Device::Cpu);
    let parameters = [
        root.child("conv").parameter("weight", &[4, 3, 2, 2], CONVOLUTION),
        root.child("bn").parameter("weight", &[4], Layer::Norm),
        root.child("bn").parameter("bias", &[4], Layer::Norm),
        root.child("head").parameter("bias", &[5], Layer::Other),
    ];
    for (seed, parameter) in parameters.iter().enumerate() {
        no_grad(|| parameter.detach().copy_(&numbers(seed as f64, parameter)));
    }
    root.finish()
}

/// Reproducible numbers in the shape of `like`.
fn numbers(seed: f64, like: &Tensor) -> Tensor {
    let count = like.numel() as i64;
    (Tensor::arange(count, (Kind::Float, Device::Cpu)) * 1.7 + seed).sin().reshape(like.size())
}

fn backward(state: &ModelState, seed: f64) {
    for (index, entry) in state.parameters().enumerate() {
        (&entry.tensor * numbers(seed + index as f64, &entry.tensor)).sum(None).backward();
    }
}

fn train(optim: &mut OptimWrapper, state: &ModelState, steps: std::ops::Range<u32>) {
    for step in steps {
        backward(state, f64::from(step));
        optim.clip();
        optim.step();
        optim.zero_grad();
    }
}

fn values(state: &ModelState) -> Vec<f32> {
    let flat: Vec<Tensor> =
        state.parameters().map(|entry| entry.tensor.detach().reshape([-1])).collect();
    Vec::try_from(Tensor::cat(&flat, 0)).unwrap()
}

fn build(config: &Json, state: &ModelState) -> OptimWrapper {
    OptimWrapper::build(config, state).unwrap()
}

/// What libtorch's own optimizer makes of the same model and gradients.
fn by_libtorch(mut optimizer: tch::COptimizer, steps: u32) -> Vec<f32> {
    let state = model();
    for entry in state.parameters() {
        optimizer.add_parameters(&entry.tensor, 0).unwrap();
    }
    for step in 0..steps {
        optimizer.zero_grad().unwrap();
        backward(&state, f64::from(step));
        optimizer.step().unwrap();
    }
    values(&state)
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        // A few roundings of numbers near 1: a product and a sum may be fused on one side.
        assert!((found - expected).abs() <= 4.0 * f32::EPSILON, "{found} {expected}");
    }
}

#[test]
fn sgd_equals_libtorch() {
    for (nesterov, dampening) in [(false, 0.0), (true, 0.0), (false, 0.3)] {
        let reference = tch::COptimizer::sgd(0.1, 0.9, dampening, 5e-4, nesterov).unwrap();
        let state = model();
        let config = json!({"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4,
            "nesterov": nesterov, "dampening": dampening}});
        train(&mut build(&config, &state), &state, 0..5);
        assert_close(&values(&state), &by_libtorch(reference, 5));
    }
}

#[test]
fn plain_sgd_moves_against_the_gradient() {
    let state = model();
    let before = values(&state);
    let mut optim = build(&json!({"optimizer": {"type": "SGD", "lr": 0.5}}), &state);
    train(&mut optim, &state, 0..1);
    assert_close(&values(&state)[..1], &[before[0] - 0.5 * 0f32.sin()]);
    assert!(optim.save().tensors.is_empty());
}

#[test]
fn adam_and_adamw_equal_libtorch() {
    for amsgrad in [false, true] {
        let references = [
            ("Adam", tch::COptimizer::adam(0.01, 0.9, 0.99, 0.02, 1e-8, amsgrad).unwrap()),
            ("AdamW", tch::COptimizer::adamw(0.01, 0.9, 0.99, 0.02, 1e-8, amsgrad).unwrap()),
        ];
        for (name, reference) in references {
            let state = model();
            let config = json!({"optimizer": {"type": name, "lr": 0.01, "betas": [0.9, 0.99],
                "weight_decay": 0.02, "amsgrad": amsgrad}});
            train(&mut build(&config, &state), &state, 0..5);
            assert_close(&values(&state), &by_libtorch(reference, 5));
        }
    }
}

#[test]
fn norms_and_biases_get_their_own_decay() {
    let config = json!({
        "optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 0.01},
        "paramwise_cfg": {"norm_decay_mult": 0.0, "bias_decay_mult": 0.5, "bias_lr_mult": 2.0},
    });
    let optim = build(&config, &model());
    let groups: Vec<_> = optim
        .groups()
        .iter()
        .map(|group| (group.lr(), group.weight_decay(), group.parameters().to_vec()))
        .collect();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(groups[0], (0.1, 0.01, names(&["conv.weight"])));
    assert_eq!(groups[1], (0.1, 0.0, names(&["bn.weight", "bn.bias"])));
    assert_eq!(groups[2], (0.2, 0.005, names(&["head.bias"])));
    assert_eq!(optim.base_lr(), Some(0.1));
}

#[test]
fn without_a_norm_rule_the_bias_rule_hits_norms_too() {
    let config = json!({
        "optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 0.01},
        "paramwise_cfg": {"bias_decay_mult": 0.0},
    });
    let optim = build(&config, &model());
    assert_eq!(optim.groups()[1].parameters(), ["bn.bias", "head.bias"]);
}

#[test]
fn the_longest_custom_key_wins_and_silences_other_rules() {
    let config = json!({
        "optimizer": {"type": "SGD", "lr": 1.0, "weight_decay": 0.01},
        "paramwise_cfg": {"norm_decay_mult": 0.0, "custom_keys": {
            "bn": {"lr_mult": 0.5}, "bn.bias": {"lr_mult": 0.25, "decay_mult": 2.0}, "zzz": {"lr": 9.0}}},
    });
    let optim = build(&config, &model());
    let of = |name: &str| {
        let group = optim
            .groups()
            .iter()
            .find(|group| group.parameters().iter().any(|other| other == name));
        group.map(|group| (group.lr(), group.weight_decay()))
    };
    assert_eq!(of("bn.weight"), Some((0.5, 0.01)));
    assert_eq!(of("bn.bias"), Some((0.25, 0.02)));
    assert_eq!(of("conv.weight"), Some((1.0, 0.01)));
}

#[test]
fn the_norm_is_clipped_and_told() {
    let state = model();
    let config = json!({"optimizer": {"type": "SGD", "lr": 1.0}, "clip_grad": {"max_norm": 0.5}});
    let mut optim = build(&config, &state);
    backward(&state, 0.0);
    let total: f64 = state
        .parameters()
        .map(|entry| entry.tensor.grad().square().sum(Kind::Double).double_value(&[]))
        .sum();
    let norm = optim.clip().unwrap().double_value(&[]);
    assert!((norm - total.sqrt()).abs() < 1e-5, "{norm} {total}");
    let after = optim.gradient_norm().unwrap().double_value(&[]);
    assert!((after - 0.5).abs() < 1e-5, "{after}");
}

#[test]
fn values_are_clipped_one_by_one() {
    let state = model();
    let config =
        json!({"optimizer": {"type": "SGD"}, "clip_grad": {"type": "value", "clip_value": 0.25}});
    let mut optim = build(&config, &state);
    backward(&state, 1.0);
    assert!(optim.clip().is_none());
    let largest = state.parameters().map(|entry| entry.tensor.grad().abs().max().double_value(&[]));
    assert_eq!(largest.fold(0.0, f64::max), 0.25);
}

#[test]
fn gradients_add_up_until_an_update_is_due() {
    let state = model();
    let optim = build(&json!({"optimizer": {"type": "SGD"}, "accumulative_counts": 3}), &state);
    let due: Vec<bool> = (0..8).map(|iter| optim.is_due(iter, 8)).collect();
    assert_eq!(due, [false, false, true, false, false, true, false, true]);
    let loss = Tensor::from(6.0);
    let scaled: Vec<f64> =
        (0..8).map(|iter| optim.scale_loss(&loss, iter, 8).double_value(&[])).collect();
    // The last window has two iterations only.
    assert_eq!(scaled, [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0]);
}

#[test]
fn two_backward_passes_add_their_gradients() {
    let (once, twice) = (model(), model());
    let config = json!({"optimizer": {"type": "SGD", "lr": 0.5}});
    let (mut a, mut b) = (build(&config, &once), build(&config, &twice));
    for _ in 0..2 {
        train(&mut a, &once, 3..4);
        backward(&twice, 3.0);
    }
    b.step();
    assert_close(&values(&once), &values(&twice));
}

#[test]
fn parameters_that_took_no_part_are_left_alone() {
    let state = model();
    let config = json!({"optimizer": {"type": "AdamW", "lr": 0.1, "weight_decay": 0.5}});
    let mut optim = build(&config, &state);
    let unused = state.get("head.bias").unwrap().copy();
    for _ in 0..2 {
        state.get("conv.weight").unwrap().square().sum(None).backward();
        optim.step();
        optim.zero_grad();
    }
    assert!(state.get("head.bias").unwrap().equal(&unused));
    assert_eq!(optim.save().scalars["steps"]["head.bias"], 0);
    assert_eq!(optim.save().scalars["steps"]["conv.weight"], 2);
}

/// Parameters, gradients and results that PyTorch's own optimizers gave; `golden/make.py` wrote them.
fn golden() -> Json {
    serde_json::from_str(include_str!("golden/values.json")).unwrap()
}

fn tensor(values: &Json, shape: &Json) -> Tensor {
    let values: Vec<f64> = values.as_array().unwrap().iter().filter_map(Json::as_f64).collect();
    let shape: Vec<i64> = shape.as_array().unwrap().iter().filter_map(Json::as_i64).collect();
    Tensor::from_slice(&values).to_kind(Kind::Float).reshape(shape)
}

/// The golden parameters as a model.
fn golden_model(golden: &Json) -> ModelState {
    let root = Scope::root(Device::Cpu);
    for index in 0..2 {
        let initial = tensor(&golden["initial"][index], &golden["shapes"][index]);
        let mut parameter =
            root.parameter(&format!("p{index}"), &initial.size(), Layer::Other).detach();
        no_grad(|| parameter.copy_(&initial));
    }
    root.finish()
}

fn golden_steps(
    (golden, state): (&Json, &ModelState),
    optim: &mut OptimWrapper,
    steps: std::ops::Range<usize>,
    mut look: impl FnMut(usize),
) {
    for step in steps {
        for (index, entry) in state.parameters().enumerate() {
            let gradient = tensor(&golden["gradients"][step][index], &golden["shapes"][index]);
            (&entry.tensor * gradient).sum(None).backward();
        }
        optim.step();
        optim.zero_grad();
        if step + 1 == golden["halved_after"].as_u64().unwrap() as usize {
            optim.set(0, "lr", optim.groups()[0].lr() * 0.5).unwrap();
        }
        look(step + 1);
    }
}

#[test]
fn every_optimizer_equals_pytorchs_over_twenty_steps() {
    let golden = golden();
    let mut seen = std::collections::BTreeSet::new();
    for case in golden["cases"].as_array().unwrap() {
        let state = golden_model(&golden);
        let mut optim = build(&json!({"optimizer": case["optimizer"]}), &state);
        seen.insert(case["optimizer"]["type"].as_str().unwrap().to_owned());
        golden_steps((&golden, &state), &mut optim, 0..20, |step| {
            let Some(expected) = case["values"][step.to_string()].as_array() else { return };
            let expected: Vec<f64> = expected
                .iter()
                .flat_map(|values| values.as_array().unwrap())
                .filter_map(Json::as_f64)
                .collect();
            for (found, expected) in values(&state).into_iter().zip(expected) {
                // A few roundings of f32: products and sums are fused in other places.
                let tolerance = 8.0 * f64::from(f32::EPSILON) * expected.abs().max(1.0);
                let difference = (f64::from(found) - expected).abs();
                assert!(difference <= tolerance, "{case} {step}: {found} {expected}");
            }
        });
    }
    let known: std::collections::BTreeSet<String> = snaphook_optimizers::declared()
        .into_iter()
        .filter(|declared| declared.role == snaphook_components::Role::Optimizer)
        .map(|declared| declared.name().to_owned())
        .collect();
    assert_eq!(seen, known);
}

#[test]
fn every_resumed_optimizer_goes_on_to_the_same_bits() {
    let golden = golden();
    for case in golden["cases"].as_array().unwrap() {
        let config = json!({"optimizer": case["optimizer"]});
        let (state, other) = (golden_model(&golden), golden_model(&golden));
        let mut optim = build(&config, &state);
        golden_steps((&golden, &state), &mut optim, 0..7, |_| {});
        let saved = optim.save();
        // As a checkpoint keeps it: through text.
        let scalars = serde_json::from_str(&saved.scalars.to_string()).unwrap();
        let saved = super::OptimState { scalars, tensors: saved.tensors };
        let mut resumed = build(&config, &other);
        for (entry, source) in other.entries().iter().zip(state.entries()) {
            no_grad(|| entry.tensor.detach().copy_(&source.tensor));
        }
        assert!(resumed.load(&saved).unwrap().edits.is_empty());
        golden_steps((&golden, &state), &mut optim, 7..20, |_| {});
        golden_steps((&golden, &other), &mut resumed, 7..20, |_| {});
        assert_eq!(values(&state), values(&other), "{case}");
    }
}

#[test]
fn a_resumed_run_with_rules_and_clipping_goes_on_to_the_same_bits() {
    let config = json!({
        "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4},
        "paramwise_cfg": {"norm_decay_mult": 0.0},
        "clip_grad": {"max_norm": 1.0},
    });
    let (state, other) = (model(), model());
    let mut optim = build(&config, &state);
    train(&mut optim, &state, 0..3);
    optim.set(0, "lr", 0.03).unwrap();
    let saved = optim.save();
    let mut resumed = build(&config, &other);
    for (entry, source) in other.entries().iter().zip(state.entries()) {
        no_grad(|| entry.tensor.detach().copy_(&source.tensor));
    }
    assert!(resumed.load(&saved).unwrap().edits.is_empty());
    train(&mut optim, &state, 3..6);
    train(&mut resumed, &other, 3..6);
    assert_eq!(values(&state), values(&other));
}

/// A wrapper in mixed precision whose loss scale changes soon.
fn mixed(state: &ModelState) -> OptimWrapper {
    let config = json!({"type": "AmpOptimWrapper", "optimizer": {"type": "SGD", "lr": 0.5},
        "loss_scale": {"init_scale": 1024, "growth_interval": 2}});
    build(&config, state)
}

fn scaled_backward(optim: &OptimWrapper, state: &ModelState, factor: f64) {
    for (index, entry) in state.parameters().enumerate() {
        let loss = (&entry.tensor * numbers(index as f64, &entry.tensor)).sum(None) * factor;
        optim.scale_loss(&loss, 0, 8).backward();
    }
}

#[test]
fn a_scaled_loss_leads_to_the_same_update() {
    let (state, other) = (model(), model());
    let mut optim = mixed(&state);
    let mut full = build(&json!({"optimizer": {"type": "SGD", "lr": 0.5}}), &other);
    scaled_backward(&optim, &state, 1.0);
    scaled_backward(&full, &other, 1.0);
    let norms = [&mut optim, &mut full].map(|it| it.gradient_norm().unwrap().double_value(&[]));
    assert_eq!(norms[0], norms[1]);
    optim.step();
    full.step();
    assert_eq!(values(&state), values(&other));
}

#[test]
fn an_overflow_skips_the_update_and_halves_the_scale() {
    let state = model();
    let mut optim = mixed(&state);
    let before = values(&state);
    scaled_backward(&optim, &state, f64::MAX);
    optim.step();
    optim.zero_grad();
    assert_eq!(values(&state), before);
    assert_eq!(optim.loss_scale(), 512.0);
    for expected in [512.0, 1024.0, 1024.0, 2048.0] {
        scaled_backward(&optim, &state, 1.0);
        optim.step();
        optim.zero_grad();
        assert_eq!(optim.loss_scale(), expected);
    }
    let mut resumed = mixed(&model());
    assert!(resumed.load(&optim.save()).unwrap().edits.is_empty());
    assert_eq!(resumed.loss_scale(), 2048.0);
}

#[test]
fn a_schedule_of_what_the_optimizer_does_not_have_is_refused() {
    use snaphook_schedules::{ScheduleContext, Schedules};
    let mut optim = build(&json!({"optimizer": {"type": "Adagrad"}}), &model());
    let context = ScheduleContext { max_epochs: 4, max_iters: 4, epoch_length: 1 };
    let config = json!([{"type": "ConstantMomentum"}]);
    let message = Schedules::build(&config, context, &mut optim).unwrap_err().to_string();
    assert!(
        message.starts_with("param_scheduler.0.type: ConstantMomentum drives momentum"),
        "{message}"
    );
}

#[test]
fn an_edited_setting_holds_on_resume_and_is_reported() {
    let state = model();
    let mut optim =
        build(&json!({"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}}), &state);
    train(&mut optim, &state, 0..1);
    let saved = optim.save();
    let mut edited =
        build(&json!({"optimizer": {"type": "SGD", "lr": 0.2, "momentum": 0.9}}), &state);
    let loaded = edited.load(&saved).unwrap();
    assert_eq!(loaded.edits, ["group 0: lr was 0.1, is now 0.2"]);
    assert_eq!(edited.groups()[0].lr(), 0.2);
}

#[test]
fn the_state_of_another_model_is_refused_by_name() {
    let config = json!({"optimizer": {"type": "SGD", "momentum": 0.9}});
    let state = model();
    let mut optim = build(&config, &state);
    train(&mut optim, &state, 0..1);
    let saved = optim.save();
    let root = Scope::root(Device::Cpu);
    let _weight = root.child("conv").parameter("weight", &[4, 3, 2, 2], CONVOLUTION);
    let _extra = root.parameter("extra", &[1], Layer::Other);
    let mut other = build(&config, &root.finish());
    let message = other.load(&saved).unwrap_err().to_string();
    assert!(
        message.contains("missing extra; unexpected bn.bias, bn.weight, head.bias"),
        "{message}"
    );
    let mut adam = build(&json!({"optimizer": {"type": "Adam"}}), &state);
    assert!(
        adam.load(&saved)
            .unwrap_err()
            .to_string()
            .contains("expected the state of Adam, found that of SGD")
    );
}

#[test]
fn schedules_drive_all_groups_and_the_base() {
    use snaphook_schedules::{ScheduleContext, Schedules, Unit};
    let config = json!({
        "optimizer": {"type": "Adam", "lr": 0.1},
        "paramwise_cfg": {"bias_lr_mult": 2.0},
    });
    let mut optim = build(&config, &model());
    let context = ScheduleContext { max_epochs: 4, max_iters: 4, epoch_length: 1 };
    let schedulers = json!([{"type": "StepLR", "step_size": 1, "gamma": 0.5}, {"type": "ConstantMomentum", "factor": 0.5}]);
    let mut schedules = Schedules::build(&schedulers, context, &mut optim).unwrap();
    schedules.step(Unit::Epoch, &mut optim);
    assert_eq!(
        (optim.groups()[0].lr(), optim.groups()[1].lr(), optim.base_lr()),
        (0.05, 0.1, Some(0.05))
    );
    assert_eq!(optim.groups()[0].betas(), Some((0.45, 0.999)));
    assert_eq!(optim.groups()[0].initial_lr(), Some(0.1));
}
