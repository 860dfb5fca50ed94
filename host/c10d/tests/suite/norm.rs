//! Synchronised batch norm on the parts of a batch is batch norm on the whole.

use std::time::Duration;

use snaphook_c10d::{NormParameters, ReduceOp, backward, sync_batch_norm};
use tch::{Kind, Tensor, no_grad};

use crate::processes::on_ranks;

const MOMENTUM: f64 = 0.1;
const EPS: f64 = 1e-5;

fn input() -> Tensor {
    let values = Tensor::arange(7 * 3 * 4, tch::kind::FLOAT_CPU).view([7, 3, 2, 2]);
    (values * 0.37).sin() * 3.0 + 5.0
}

struct Norm {
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
}

fn norm() -> Norm {
    let parameter = |values: &[f32]| Tensor::from_slice(values).set_requires_grad(true);
    Norm {
        weight: parameter(&[0.5, 1.5, -1.0]),
        bias: parameter(&[0.1, 0.2, 0.3]),
        mean: Tensor::zeros([3], tch::kind::FLOAT_CPU),
        variance: Tensor::ones([3], tch::kind::FLOAT_CPU),
    }
}

/// A loss with another gradient at each place.
fn loss(output: &Tensor, first: i64) -> Tensor {
    let places = Tensor::arange_start(first, first + output.numel() as i64, tch::kind::FLOAT_CPU);
    (output * (places.view_as(output) * 0.11).cos()).sum(Kind::Float)
        + output.square().sum(Kind::Float)
}

fn near(ours: &Tensor, theirs: &Tensor) {
    let furthest = ((ours - theirs).abs() / (theirs.abs() + 1)).max().double_value(&[]);
    // Sums of 28 numbers of f32 in another order.
    assert!(furthest < 1e-5, "{furthest}: {ours} {theirs}");
}

#[test]
fn parts_of_a_batch_are_normalised_as_the_whole_of_it() {
    let whole = input().set_requires_grad(true);
    let single = norm();
    let output = whole.batch_norm(
        Some(&single.weight),
        Some(&single.bias),
        Some(&single.mean),
        Some(&single.variance),
        true,
        MOMENTUM,
        EPS,
        false,
    );
    backward(&loss(&output, 0)).unwrap();
    let expected = [
        output.detach(),
        whole.grad(),
        single.weight.grad(),
        single.bias.grad(),
        single.mean.copy(),
        single.variance.copy(),
    ];
    on_ranks(3, |group| {
        // Parts of four, three and no samples.
        let (first, count) = [(0, 4), (4, 3), (7, 0)][group.rank()];
        let part = input().narrow(0, first, count).set_requires_grad(true);
        let own = norm();
        let parameters = NormParameters {
            affine: Some((&own.weight, &own.bias)),
            running: Some((&own.mean, &own.variance)),
            momentum: MOMENTUM,
            eps: EPS,
        };
        let output = sync_batch_norm(group, &part, &parameters).unwrap();
        backward(&loss(&output, 12 * first)).unwrap();
        if count > 0 {
            near(&output.detach(), &expected[0].narrow(0, first, count));
            near(&part.grad(), &expected[1].narrow(0, first, count));
        }
        for (own, whole) in [(&own.weight, &expected[2]), (&own.bias, &expected[3])] {
            let mut gradient = own.grad();
            no_grad(|| group.all_reduce(&mut gradient, ReduceOp::Sum)).unwrap();
            near(&gradient, whole);
        }
        near(&own.mean, &expected[4]);
        near(&own.variance, &expected[5]);
    });
}

#[test]
fn a_norm_without_scale_or_running_statistics_works_too() {
    on_ranks(2, |group| {
        let part = input().narrow(0, 3 * group.rank() as i64, 3).set_requires_grad(true);
        let parameters =
            NormParameters { affine: None, running: None, momentum: MOMENTUM, eps: EPS };
        let output = sync_batch_norm(group, &part, &parameters).unwrap();
        let mut mean = output.detach().mean_dim([0, 2, 3].as_slice(), false, Kind::Float);
        group.all_reduce(&mut mean, ReduceOp::Mean).unwrap();
        near(&mean, &mean.zeros_like());
        backward(&loss(&output, 0)).unwrap();
        assert!(part.grad().isfinite().all().int64_value(&[]) == 1);
    });
}

#[test]
fn a_rank_that_waits_in_vain_tells_for_how_long() {
    on_ranks(2, |group| {
        if group.rank() == 1 {
            group.store().get("it has waited").unwrap();
            return;
        }
        group.set_timeout(Duration::from_millis(600)).unwrap();
        let parameters =
            NormParameters { affine: None, running: None, momentum: MOMENTUM, eps: EPS };
        let error = sync_batch_norm(group, &input(), &parameters).unwrap_err();
        assert!(error.waited() >= Duration::from_millis(500), "{error}: {:?}", error.waited());
        group.store().set("it has waited", b"").unwrap();
    });
}

#[test]
fn input_of_f64_is_normalised_in_f64_and_whole_numbers_are_refused() {
    let whole = input().to_kind(Kind::Double).set_requires_grad(true);
    let weight = Tensor::from_slice(&[0.5f64, 1.5, -1.0]);
    let bias = Tensor::from_slice(&[0.1f64, 0.2, 0.3]);
    let none = None::<&Tensor>;
    let output =
        whole.batch_norm(Some(&weight), Some(&bias), none, none, true, MOMENTUM, EPS, false);
    backward(&output.square().sum(Kind::Double)).unwrap();
    let expected = [output.detach(), whole.grad()];
    on_ranks(2, |group| {
        let (first, count) = [(0, 4), (4, 3)][group.rank()];
        let part = input().to_kind(Kind::Double).narrow(0, first, count).set_requires_grad(true);
        let parameters = NormParameters {
            affine: Some((&weight, &bias)),
            running: None,
            momentum: MOMENTUM,
            eps: EPS,
        };
        let output = sync_batch_norm(group, &part, &parameters).unwrap();
        backward(&output.square().sum(Kind::Double)).unwrap();
        for (own, whole) in [(output.detach(), &expected[0]), (part.grad(), &expected[1])] {
            assert_eq!(own.kind(), Kind::Double);
            let furthest = (own - whole.narrow(0, first, count)).abs().max().double_value(&[]);
            // Sums of 28 numbers of f64 in another order.
            assert!(furthest < 1e-12, "{furthest}");
        }
        let error = sync_batch_norm(group, &part.to_kind(Kind::Int64), &parameters).unwrap_err();
        assert!(error.to_string().contains("expected input of floating point"), "{error}");
        group.barrier().unwrap();
    });
}
