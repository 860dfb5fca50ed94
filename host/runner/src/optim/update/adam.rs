//! Adam and its kin.

use snaphook_optimizers::{Hyper, UpdateRule};

use super::Slice;
use super::slice::{add_quotient, add_scaled, mean_square};

pub(super) fn adam(
    mut slice: Slice<'_>,
    hyper: &Hyper,
    (beta2, eps, is_decoupled): (f64, f64, bool),
) {
    let gradient = slice.decay(hyper, is_decoupled);
    let room = slice.scratch.room(1, &gradient);
    let (mut mean, mut squares) = (slice.slot("exp_avg"), slice.slot("exp_avg_sq"));
    let _ = mean.lerp_(&gradient, 1.0 - hyper.momentum);
    mean_square(&mut squares, &gradient, (beta2, &room));
    let step = slice.step as f64;
    let correction1 = 1.0 - hyper.momentum.powf(step);
    let correction2 = (1.0 - beta2.powf(step)).sqrt();
    if let Some(largest) = slice.find("max_exp_avg_sq") {
        let _ = largest.maximum_out(&largest, &squares);
        squares = largest;
    }
    // The gradient is not needed any more: both rooms are free.
    let mut denominator = slice.scratch.room(0, &squares);
    let _ = squares.sqrt_out(&denominator);
    let denominator = denominator.g_div_scalar_(correction2).g_add_scalar_(eps);
    let factor = -hyper.learning_rate / correction1;
    add_quotient(&mut slice.parameter, (&mean, &denominator), (factor, &room));
}

pub(super) fn adamax(mut slice: Slice<'_>, hyper: &Hyper, (beta2, eps): (f64, f64)) {
    let gradient = slice.decayed_descent(hyper);
    let (mut mean, mut largest) = (slice.slot("exp_avg"), slice.slot("exp_inf"));
    let _ = mean.lerp_(&gradient, 1.0 - hyper.momentum);
    let size = gradient.abs().g_add_scalar_(eps);
    let faded = largest.g_mul_scalar_(beta2);
    let _ = faded.maximum_out(&largest, &size);
    let factor = -hyper.learning_rate / (1.0 - hyper.momentum.powf(slice.step as f64));
    let room = slice.scratch.room(1, &gradient);
    add_quotient(&mut slice.parameter, (&mean, &largest), (factor, &room));
}

pub(super) fn nadam(mut slice: Slice<'_>, hyper: &Hyper, numbers: &mut [f64]) {
    let UpdateRule::NAdam { beta2, eps, momentum_decay, is_decoupled } = hyper.rule else { return };
    let [product] = numbers else { return };
    let gradient = slice.decay(hyper, is_decoupled);
    let room = slice.scratch.room(1, &gradient);
    let (mut mean, mut squares) = (slice.slot("exp_avg"), slice.slot("exp_avg_sq"));
    let (rate, step) = (hyper.learning_rate, slice.step as f64);
    let momentum = |step: f64| hyper.momentum * (1.0 - 0.5 * 0.96_f64.powf(step * momentum_decay));
    let (now, next) = (momentum(step), momentum(step + 1.0));
    // PyTorch keeps the product as f32.
    *product = f64::from(*product as f32 * now as f32);
    let _ = mean.lerp_(&gradient, 1.0 - hyper.momentum);
    mean_square(&mut squares, &gradient, (beta2, &room));
    let correction2 = 1.0 - beta2.powf(step);
    let denominator = (&squares / correction2).sqrt().g_add_scalar_(eps);
    let of_gradient = -rate * (1.0 - now) / (1.0 - *product);
    add_quotient(&mut slice.parameter, (&gradient, &denominator), (of_gradient, &room));
    let of_mean = -rate * next / (1.0 - *product * next);
    add_quotient(&mut slice.parameter, (&mean, &denominator), (of_mean, &room));
}

pub(super) fn radam(mut slice: Slice<'_>, hyper: &Hyper) {
    let UpdateRule::RAdam { beta2, eps, is_decoupled } = hyper.rule else { return };
    let gradient = slice.decay(hyper, is_decoupled);
    let room = slice.scratch.room(1, &gradient);
    let (mut mean, mut squares) = (slice.slot("exp_avg"), slice.slot("exp_avg_sq"));
    let _ = mean.lerp_(&gradient, 1.0 - hyper.momentum);
    mean_square(&mut squares, &gradient, (beta2, &room));
    let step = slice.step as f64;
    let correction1 = 1.0 - hyper.momentum.powf(step);
    let correction2 = 1.0 - beta2.powf(step);
    let longest = 2.0 / (1.0 - beta2) - 1.0;
    let length = longest - 2.0 * step * beta2.powf(step) / correction2;
    let mut direction = (&mean / correction1) * hyper.learning_rate;
    if length > 5.0 {
        let rectified = ((length - 4.0) * (length - 2.0) * longest
            / ((longest - 4.0) * (longest - 2.0) * length))
            .sqrt();
        let deviation = squares.sqrt().g_add_scalar_(eps);
        let adapted = deviation.reciprocal() * correction2.sqrt();
        direction = direction * adapted * rectified;
    }
    add_scaled(&slice.parameter, &slice.parameter, &direction, -1.0);
}
