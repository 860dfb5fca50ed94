//! The reducer: gradients are means over ranks, in place, in any number of buckets.

use snaphook_c10d::{Group, Reducer, ReducerOptions, backward};
use tch::{Kind, Tensor, no_grad};

use crate::on_ranks;

fn parameters() -> Vec<(String, Tensor)> {
    let parameter = |at: i64| {
        let values = Tensor::arange(12, tch::kind::FLOAT_CPU).view([3, 4]) + at;
        (format!("layer{at}.weight"), values.set_requires_grad(true))
    };
    (0..5).map(parameter).collect()
}

/// A loss whose gradient is `factor * (rank + 1)` for the parameters that it takes.
fn loss(parameters: &[(String, Tensor)], factor: f64) -> Tensor {
    let sums = parameters.iter().map(|(_, parameter)| parameter.sum(Kind::Float));
    sums.fold(Tensor::from(0f32), |sum, term| sum + term) * factor
}

fn gradients(parameters: &[(String, Tensor)]) -> Vec<f64> {
    let mean = |parameter: &Tensor| parameter.grad().mean(Kind::Double).double_value(&[]);
    parameters.iter().map(|(_, parameter)| mean(parameter)).collect()
}

fn step(group: &Group, reducer: &Reducer, all: &[(String, Tensor)], used: usize) -> Vec<f64> {
    reducer.prepare_forward().unwrap();
    let loss = loss(&all[..used], (group.rank() + 1) as f64);
    reducer.prepare_backward(&[&loss]).unwrap();
    reducer.backward(&loss).unwrap();
    gradients(all)
}

#[test]
fn gradients_are_means_also_after_buckets_were_made_anew() {
    on_ranks(2, |group| {
        let all = parameters();
        let options = ReducerOptions {
            bucket_bytes: 100,
            first_bucket_bytes: 50,
            ..ReducerOptions::default()
        };
        let reducer = Reducer::new(group, &all, options).unwrap();
        for round in 1..=4 {
            assert_eq!(step(group, &reducer, &all, 5), [1.5 * f64::from(round); 5]);
        }
    });
}

#[test]
fn without_the_calls_gradients_are_added_up_on_their_own_rank() {
    on_ranks(2, |group| {
        let all = parameters();
        let reducer = Reducer::new(group, &all, ReducerOptions::default()).unwrap();
        let own = (group.rank() + 1) as f64;
        backward(&loss(&all, own)).unwrap();
        backward(&loss(&all, own)).unwrap();
        assert_eq!(gradients(&all), [2.0 * own; 5]);
        // The mean of what each has added up: 3 and 6.
        assert_eq!(step(group, &reducer, &all, 5), [4.5; 5]);
    });
}

#[test]
fn gradients_that_are_views_stay_views() {
    on_ranks(2, |group| {
        let all = parameters();
        let long = Tensor::zeros([60], tch::kind::FLOAT_CPU);
        backward(&loss(&all, 0.0)).unwrap();
        for (at, (_, parameter)) in all.iter().enumerate() {
            let view = long.narrow(0, 12 * at as i64, 12).view([3, 4]);
            no_grad(|| parameter.grad().set_data(&view));
        }
        let reducer = Reducer::new(group, &all, ReducerOptions::default()).unwrap();
        for round in 1..=3 {
            step(group, &reducer, &all, 5);
            assert_eq!(long.mean(Kind::Double).double_value(&[]), 1.5 * f64::from(round));
        }
    });
}

#[test]
fn a_parameter_that_takes_no_part_is_named_or_looked_for() {
    on_ranks(2, |group| {
        let all = parameters();
        let reducer = Reducer::new(group, &all, ReducerOptions::default()).unwrap();
        reducer.prepare_forward().unwrap();
        let partly = loss(&all[..4], 1.0);
        reducer.prepare_backward(&[&partly]).unwrap();
        reducer.backward(&partly).unwrap();
        let error = reducer.prepare_forward().and_then(|()| reducer.prepare_backward(&[&partly]));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("find_unused_parameters"), "{error}");
        group.give_up();
    });
    on_ranks(2, |group| {
        let all = parameters();
        let options = ReducerOptions { find_unused_parameters: true, ..ReducerOptions::default() };
        let reducer = Reducer::new(group, &all, options).unwrap();
        // Used by one rank alone, it still is a mean over both; used by none, it is left alone.
        let used = if group.rank() == 0 { 3 } else { 4 };
        reducer.prepare_forward().unwrap();
        let loss = loss(&all[..used], 1.0);
        reducer.prepare_backward(&[&loss]).unwrap();
        reducer.backward(&loss).unwrap();
        assert_eq!(gradients(&all[..4]), [1.0, 1.0, 1.0, 0.5]);
        assert!(!all[4].1.grad().defined());
    });
}

#[test]
fn ranks_with_other_parameters_are_refused() {
    on_ranks(2, |group| {
        let mut all = parameters();
        if group.rank() == 1 {
            all.pop();
        }
        let error = Reducer::new(group, &all, ReducerOptions::default()).unwrap_err();
        assert!(error.to_string().contains("comparing parameters"), "{error}");
        group.give_up();
    });
}
