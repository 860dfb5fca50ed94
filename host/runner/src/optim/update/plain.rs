//! SGD, ASGD, Rprop and Lion: rules without running squares.

use snaphook_optimizers::{Hyper, UpdateRule};

use super::Slice;
use super::slice::add_scaled;

pub(super) fn sgd(mut slice: Slice<'_>, hyper: &Hyper, (dampening, nesterov): (f64, bool)) {
    let mut direction = slice.decayed_descent(hyper);
    if let Some(mut buffer) = slice.find("momentum_buffer") {
        if slice.step == 1 {
            buffer.copy_(&direction);
        } else if dampening == 0.0 {
            let _ = buffer.g_mul_scalar_(hyper.momentum).g_add_(&direction);
        } else {
            let decayed = buffer.g_mul_scalar_(hyper.momentum);
            add_scaled(&buffer, &decayed, &direction, 1.0 - dampening);
        }
        direction = match nesterov {
            true => {
                let ahead = slice.scratch.room(0, &buffer);
                add_scaled(&ahead, &direction, &buffer, hyper.momentum);
                ahead
            }
            false => buffer,
        };
    }
    add_scaled(&slice.parameter, &slice.parameter, &direction, -hyper.learning_rate);
}

pub(super) fn asgd(mut slice: Slice<'_>, hyper: &Hyper, numbers: &mut [f64]) {
    let UpdateRule::Asgd { lambd, alpha, t0 } = hyper.rule else { return };
    let [eta, mu] = numbers else { return };
    let gradient = slice.decayed_descent(hyper);
    let _ = slice.parameter.g_mul_scalar_(1.0 - lambd * *eta);
    add_scaled(&slice.parameter, &slice.parameter, &gradient, -*eta);
    let mut average = slice.slot("ax");
    if *mu == 1.0 {
        average.copy_(&slice.parameter);
    } else {
        let _ = average.g_add_(&(&slice.parameter - &average).g_mul_scalar_(*mu));
    }
    // PyTorch keeps both as f32.
    let (rate, step) = (hyper.learning_rate, slice.step as f64);
    *eta = f64::from((rate / (1.0 + lambd * rate * step).powf(alpha)) as f32);
    *mu = f64::from((1.0 / (step - t0).max(1.0)) as f32);
}

pub(super) fn rprop(mut slice: Slice<'_>, hyper: &Hyper) {
    let UpdateRule::Rprop { eta_minus, eta_plus, least_step, largest_step } = hyper.rule else {
        return;
    };
    let gradient = slice.descent(hyper);
    let (mut before, mut size) = (slice.slot("prev"), slice.slot("step_size"));
    if slice.step == 1 {
        let _ = size.fill_(hyper.learning_rate);
    }
    let sign = &gradient * &before;
    let (stays, turns) = (sign.gt(0.0), sign.lt(0.0));
    let factor = sign.ones_like().masked_fill(&stays, eta_plus).masked_fill(&turns, eta_minus);
    let _ = size.g_mul_(&factor).clamp_(least_step, largest_step);
    let gradient = gradient.masked_fill(&turns, 0.0);
    let _ = slice.parameter.g_sub_(&(gradient.sign() * size));
    before.copy_(&gradient);
}

pub(super) fn lion(mut slice: Slice<'_>, hyper: &Hyper, (beta2, decay_divisor): (f64, f64)) {
    let decay = hyper.weight_decay / decay_divisor;
    let _ = slice.parameter.g_mul_scalar_(1.0 - hyper.learning_rate * decay);
    let gradient = slice.descent(hyper);
    let mut mean = slice.slot("exp_avg");
    let direction = slice.scratch.room(1, &mean);
    let _ = mean.mul_scalar_out(&direction, hyper.momentum);
    add_scaled(&direction, &direction, &gradient, 1.0 - hyper.momentum);
    let direction = direction.sign();
    add_scaled(&slice.parameter, &slice.parameter, &direction, -hyper.learning_rate);
    let _ = mean.g_mul_scalar_(beta2);
    add_scaled(&mean, &mean, &gradient, 1.0 - beta2);
}
