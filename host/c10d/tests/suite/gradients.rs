//! The reducer: gradients are means over ranks, in place, in any number of buckets.

use snaphook_c10d::{Group, Reducer, ReducerOptions, backward};
use tch::{Kind, Tensor, no_grad};

use crate::processes::on_ranks;

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
fn parameters_that_take_no_part_are_named_at_once() {
    on_ranks(2, |group| {
        let all = parameters();
        let reducer = Reducer::new(group, &all, ReducerOptions::default()).unwrap();
        reducer.prepare_forward().unwrap();
        let partly = loss(&all[..3], 1.0);
        reducer.prepare_backward(&[&partly]).unwrap();
        let error = reducer.backward(&partly).unwrap_err().to_string();
        let words = "exchange of gradients: expected all 5 parameters to take part in the backward pass, found 2 that did not: \
                     layer3.weight, layer4.weight (leave them out of the model, freeze them, or set \
                     find_unused_parameters=True)";
        assert_eq!(error, format!("rank {} of 2, {words}", group.rank()));
        group.give_up();
    });
}

#[test]
fn parameters_that_took_no_part_are_named_before_the_next_step() {
    on_ranks(2, |group| {
        let all = parameters();
        let reducer = Reducer::new(group, &all, ReducerOptions::default()).unwrap();
        reducer.prepare_forward().unwrap();
        let partly = loss(&all[1..], 1.0);
        reducer.prepare_backward(&[&partly]).unwrap();
        backward(&partly).unwrap();
        let error = reducer.prepare_forward().unwrap_err().to_string();
        assert!(error.contains("found 1 that did not: layer0.weight ("), "{error}");
        group.give_up();
    });
}

#[test]
fn a_pass_in_which_no_parameter_takes_part_is_told() {
    on_ranks(1, |group| {
        let all = parameters();
        let options = ReducerOptions { find_unused_parameters: true, ..ReducerOptions::default() };
        let reducer = Reducer::new(group, &all, options).unwrap();
        reducer.prepare_forward().unwrap();
        let other = Tensor::from(1f32).set_requires_grad(true) * 2.0;
        reducer.prepare_backward(&[&other]).unwrap();
        let error = reducer.backward(&other).unwrap_err().to_string();
        assert!(error.contains("found 5 that did not"), "{error}");
    });
}

#[test]
fn a_parameter_that_takes_no_part_is_looked_for_when_asked() {
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
fn ranks_with_other_parameters_are_refused_with_the_first_that_differs() {
    on_ranks(2, |group| {
        let is_other = group.rank() == 1;
        let refusal = |change: fn(&mut Vec<(String, Tensor)>)| {
            let mut all = parameters();
            if is_other {
                change(&mut all);
            }
            Reducer::new(group, &all, ReducerOptions::default()).unwrap_err().to_string()
        };
        let begin = format!(
            "rank {} of 2, comparing parameters: expected the same on all ranks, found as parameter",
            group.rank()
        );
        let fewer = refusal(|all| drop(all.pop()));
        let words = " 5: layer4.weight Float [3, 4] on rank 0, none on rank 1";
        assert_eq!(fewer, format!("{begin}{words}"));
        let kind = refusal(|all| {
            all[2].1 = Tensor::ones([3, 4], tch::kind::DOUBLE_CPU).set_requires_grad(true);
        });
        assert!(kind.ends_with("layer2.weight Double [3, 4] on rank 1"), "{kind}");
        let shape = refusal(|all| {
            all[2].1 = Tensor::ones([4, 3], tch::kind::FLOAT_CPU).set_requires_grad(true);
        });
        assert!(shape.ends_with("layer2.weight Float [4, 3] on rank 1"), "{shape}");
        let swapped = refusal(|all| all.swap(0, 1));
        let words =
            " 1: layer0.weight Float [3, 4] on rank 0, layer1.weight Float [3, 4] on rank 1";
        assert_eq!(swapped, format!("{begin}{words}"));
        assert!(!group.is_broken());
    });
}

#[test]
fn parameters_that_cannot_be_trained_are_refused_on_all_ranks() {
    on_ranks(2, |group| {
        let refusal = |all: &[(String, Tensor)]| {
            let error = Reducer::new(group, all, ReducerOptions::default()).unwrap_err();
            assert_eq!(error.rank(), Some(group.rank()));
            error.message().to_owned()
        };
        let on_one = |change: fn(&mut Vec<(String, Tensor)>)| {
            let mut all = parameters();
            if group.rank() == 1 {
                change(&mut all);
            }
            let words = refusal(&all);
            words.strip_prefix("on rank 1: ").unwrap_or(&words).to_owned()
        };
        assert_eq!(refusal(&[]), "expected parameters, found none");
        assert_eq!(on_one(Vec::clear), "expected parameters, found none");
        let trained = "layer3.weight: expected a parameter that is trained, found";
        let frozen = on_one(|all| all[3].1 = Tensor::ones([3], tch::kind::FLOAT_CPU));
        assert_eq!(frozen, format!("{trained} one that needs no gradient"));
        let computed = on_one(|all| all[3].1 = &all[2].1 * 2.0);
        assert_eq!(computed, format!("{trained} the result of a computation"));
        assert_eq!(on_one(|all| all[3].1 = Tensor::new()), format!("{trained} nothing"));
        assert!(!group.is_broken());
    });
}

#[test]
fn a_group_of_one_refuses_parameters_that_cannot_be_trained() {
    on_ranks(1, |group| {
        for compares in [true, false] {
            let options = ReducerOptions { compares, ..ReducerOptions::default() };
            assert!(Reducer::new(group, &[], options).is_err());
            let frozen = [("a".to_owned(), Tensor::from(1f32))];
            assert!(Reducer::new(group, &frozen, options).is_err());
        }
    });
}

#[test]
fn a_backward_pass_outside_the_reducer_knows_the_default_group() {
    on_ranks(2, |group| {
        let all = parameters();
        let reducer = Reducer::new(group, &all, ReducerOptions::default()).unwrap();
        reducer.prepare_forward().unwrap();
        let loss = loss(&all, 1.0);
        reducer.prepare_backward(&[&loss]).unwrap();
        if group.rank() == 1 {
            group.close();
            return;
        }
        snaphook_c10d::set_default_group(Some(group.clone()));
        let error = backward(&loss).unwrap_err();
        snaphook_c10d::set_default_group(None);
        assert_eq!((error.rank(), error.peers()), (Some(0), &[1][..]), "{error}");
        assert!(group.is_broken() && !error.waited().is_zero());
    });
}

#[test]
fn buckets_that_stay_give_the_same_bits_in_the_first_step_as_later() {
    on_ranks(3, |group| {
        // Sums of three numbers of these sizes depend on their order, which depends on their place in a bucket.
        let sizes = [7, 300, 41, 5];
        let parameter = |(at, size): (usize, &i64)| {
            let values = Tensor::zeros([*size], tch::kind::FLOAT_CPU);
            (format!("layer{at}.weight"), values.set_requires_grad(true))
        };
        let all: Vec<_> = sizes.iter().enumerate().map(parameter).collect();
        let options = ReducerOptions {
            bucket_bytes: 1200,
            first_bucket_bytes: 100,
            keep_buckets: true,
            ..ReducerOptions::default()
        };
        let reducer = Reducer::new(group, &all, options).unwrap();
        let factor = [1e-3f32, 1.0, 1e3][group.rank()];
        let step = || {
            reducer.prepare_forward().unwrap();
            // In another order than that of the parameters.
            let terms = [2, 0, 3, 1].map(|at: usize| {
                let parameter = &all[at].1;
                let places = Tensor::arange(parameter.numel() as i64, tch::kind::FLOAT_CPU);
                (parameter * ((places * 0.37).sin() * f64::from(factor))).sum(Kind::Float)
            });
            let loss = terms.into_iter().fold(Tensor::from(0f32), |sum, term| sum + term);
            reducer.prepare_backward(&[&loss]).unwrap();
            reducer.backward(&loss).unwrap();
            let bits = all.iter().flat_map(|(_, parameter)| {
                let gradient = parameter.grad();
                let values = Vec::<f32>::try_from(&gradient).unwrap();
                let _ = no_grad(|| parameter.grad().zero_());
                values.into_iter().map(f32::to_bits)
            });
            bits.collect::<Vec<_>>()
        };
        let first = step();
        assert_eq!(first.len(), 353);
        assert!((0..3).all(|_| step() == first));
    });
}
