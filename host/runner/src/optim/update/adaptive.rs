//! Adadelta, Adagrad and RMSprop: rules that divide by the size of gradients, without a first moment.

use snaphook_optimizers::{Hyper, UpdateRule};

use super::Slice;
use super::slice::{add_quotient, add_scaled, mean_square};

pub(super) fn adadelta(mut slice: Slice<'_>, hyper: &Hyper, (rho, eps): (f64, f64)) {
    let gradient = slice.decayed_descent(hyper);
    let room = slice.scratch.room(1, &gradient);
    let (mut squares, mut updates) = (slice.slot("square_avg"), slice.slot("acc_delta"));
    mean_square(&mut squares, &gradient, (rho, &room));
    let deviation = (&squares + eps).sqrt_();
    let delta = (&updates + eps).sqrt_().g_div_(&deviation).g_mul_(&gradient);
    mean_square(&mut updates, &delta, (rho, &room));
    add_scaled(&slice.parameter, &slice.parameter, &delta, -hyper.learning_rate);
}

pub(super) fn adagrad(mut slice: Slice<'_>, hyper: &Hyper) {
    let UpdateRule::Adagrad { lr_decay, initial_accumulator_value, eps } = hyper.rule else {
        return;
    };
    let gradient = slice.decayed_descent(hyper);
    let mut sum = slice.slot("sum");
    if slice.step == 1 {
        let _ = sum.fill_(initial_accumulator_value);
    }
    let rate = hyper.learning_rate / (1.0 + (slice.step - 1) as f64 * lr_decay);
    let _ = sum.addcmul_(&gradient, &gradient);
    let deviation = sum.sqrt().g_add_scalar_(eps);
    let room = slice.scratch.room(1, &gradient);
    add_quotient(&mut slice.parameter, (&gradient, &deviation), (-rate, &room));
}

pub(super) fn rms_prop(mut slice: Slice<'_>, hyper: &Hyper) {
    let UpdateRule::RmsProp { alpha, eps, is_centered } = hyper.rule else { return };
    let gradient = slice.decayed_descent(hyper);
    let room = slice.scratch.room(1, &gradient);
    let mut squares = slice.slot("square_avg");
    mean_square(&mut squares, &gradient, (alpha, &room));
    let mut deviation = match slice.find("grad_avg").filter(|_| is_centered) {
        Some(mut mean) => {
            let mean = mean.lerp_(&gradient, 1.0 - alpha);
            (&squares - &mean * &mean).sqrt_()
        }
        None => squares.sqrt(),
    };
    let deviation = deviation.g_add_scalar_(eps);
    match slice.find("momentum_buffer").filter(|_| hyper.momentum > 0.0) {
        Some(mut buffer) => {
            let _ = buffer.g_mul_scalar_(hyper.momentum).addcdiv_(&gradient, &deviation);
            add_scaled(&slice.parameter, &slice.parameter, &buffer, -hyper.learning_rate);
        }
        None => {
            let factor = -hyper.learning_rate;
            add_quotient(&mut slice.parameter, (&gradient, &deviation), (factor, &room));
        }
    }
}
