//! Each collective, with the answer beside it.

use std::time::Duration;

use snaphook_c10d::ReduceOp;
use tch::{Kind, Tensor};

use crate::processes::on_ranks;

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double)).unwrap()
}

#[test]
fn every_operation_of_an_all_reduce_gives_its_answer_on_every_rank() {
    on_ranks(3, |group| {
        let rank = group.rank() as f64;
        let ops = [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Product, ReduceOp::Min, ReduceOp::Max];
        let answer = ops.map(|op| {
            let mut tensor = Tensor::from_slice(&[rank + 1.0, -rank]);
            group.all_reduce(&mut tensor, op).unwrap();
            values(&tensor)
        });
        assert_eq!(
            answer.map(|values| (values[0], values[1])),
            [(6.0, -3.0), (2.0, -1.0), (6.0, 0.0), (1.0, -2.0), (3.0, 0.0)]
        );
    });
}

#[test]
fn what_ranks_have_goes_to_one_or_to_all() {
    on_ranks(3, |group| {
        let rank = group.rank() as i64;
        let own = Tensor::from_slice(&[rank, 10 * rank]);
        let all = group.all_gather(&own).unwrap();
        assert_eq!(
            all.iter().map(values).collect::<Vec<_>>(),
            [[0.0, 0.0], [1.0, 10.0], [2.0, 20.0]]
        );
        let gathered = group.gather(&own, 1).unwrap();
        let gathered = gathered.map(|all| all.iter().map(values).collect::<Vec<_>>());
        let expected = vec![vec![0.0, 0.0], vec![1.0, 10.0], vec![2.0, 20.0]];
        assert_eq!(gathered, (rank == 1).then_some(expected));
        let mut last = own.copy();
        group.broadcast(&mut last, 2).unwrap();
        assert_eq!(values(&last), [2.0, 20.0]);
        let many = [own.to_kind(Kind::Float), own.to_kind(Kind::Double), Tensor::from(rank)];
        group.broadcast_all(&many, 1).unwrap();
        assert_eq!(many.map(|tensor| values(&tensor.view([-1]))[0]), [1.0, 1.0, 1.0]);
        let parts = [0, 1, 2].map(|part| Tensor::from_slice(&[(rank + 1) as f32 * part as f32]));
        let reduced = group.reduce_scatter(&parts, ReduceOp::Sum).unwrap();
        assert_eq!(values(&reduced), [6.0 * rank as f64]);
        let mean = group.reduce_scatter(&parts, ReduceOp::Mean).unwrap();
        assert_eq!(values(&mean), [2.0 * rank as f64]);
        group.barrier().unwrap();
    });
}

#[test]
fn several_can_go_on_at_once() {
    on_ranks(2, |group| {
        let tensors: Vec<_> = (0..20).map(|at| Tensor::from(f64::from(at))).collect();
        let works: Vec<_> = tensors
            .iter()
            .map(|tensor| group.start_all_reduce(tensor, ReduceOp::Sum).unwrap())
            .collect();
        for (at, (work, tensor)) in works.into_iter().zip(&tensors).enumerate() {
            work.wait().unwrap();
            assert_eq!(tensor.double_value(&[]), 2.0 * at as f64);
        }
        let own = Tensor::from(group.rank() as f64);
        let (gathered, gathering) = group.start_all_gather(&own).unwrap();
        let (reduced, reducing) =
            group.start_reduce_scatter(&[own.copy(), own.copy()], ReduceOp::Mean).unwrap();
        let barrier = group.start_barrier().unwrap();
        barrier.wait().unwrap();
        reducing.wait().unwrap();
        gathering.wait_for(Duration::from_secs(20)).unwrap();
        assert_eq!(
            (values(&gathered[1].view([1])), values(&reduced.view([1]))),
            (vec![1.0], vec![0.5])
        );
    });
}

#[test]
fn bytes_of_another_length_on_each_rank_arrive_whole() {
    on_ranks(3, |group| {
        let own = "x".repeat(group.rank() * 1000);
        let all = group.all_gather_bytes(own.as_bytes()).unwrap();
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1000, 2000]);
        assert_eq!(all[group.rank()], own.as_bytes());
        let at_root = group.gather_bytes(own.as_bytes(), 0).unwrap();
        assert_eq!(at_root, (group.rank() == 0).then_some(all));
        assert_eq!(group.broadcast_bytes(own.as_bytes(), 2).unwrap().len(), 2000);
        assert_eq!(group.broadcast_bytes(b"", 0).unwrap(), b"");
    });
}

#[test]
fn numbers_can_be_reduced_without_tensors() {
    on_ranks(2, |group| {
        let own = [group.rank() as f64, 4.0];
        assert_eq!(group.all_reduce_numbers(&own, ReduceOp::Mean).unwrap(), [0.5, 4.0]);
        assert!(group.all_reduce_numbers(&[], ReduceOp::Sum).unwrap().is_empty());
    });
}

#[test]
fn a_group_of_one_needs_nobody() {
    on_ranks(1, |group| {
        let mut tensor = Tensor::from(3.0);
        group.all_reduce(&mut tensor, ReduceOp::Mean).unwrap();
        assert_eq!(tensor.double_value(&[]), 3.0);
        assert_eq!(group.all_gather_bytes(b"x").unwrap(), [b"x"]);
    });
}

#[test]
fn each_rank_gets_its_part_of_all() {
    on_ranks(3, |group| {
        let rank = group.rank() as i64;
        let parts = Tensor::arange(6, tch::kind::INT64_CPU).view([3, 2]) + 10 * rank;
        let own = group.all_to_all(&parts).unwrap();
        let part = |other: i64| [10 * other + 2 * rank, 10 * other + 2 * rank + 1];
        let expected = [part(0), part(1), part(2)].concat();
        assert_eq!(
            values(&own.view([-1])),
            expected.iter().map(|at| *at as f64).collect::<Vec<_>>()
        );
        let uneven = group.all_to_all(&Tensor::zeros([4], tch::kind::FLOAT_CPU)).unwrap_err();
        assert!(!group.is_broken(), "{uneven}");
    });
}

#[test]
fn a_mean_of_whole_numbers_is_refused_without_breaking_the_group() {
    on_ranks(2, |group| {
        let mut whole = Tensor::from_slice(&[1i64, 2]);
        let error = group.all_reduce(&mut whole, ReduceOp::Mean).unwrap_err().to_string();
        assert!(
            error.contains("expected a tensor of floating point for a mean, found Int64"),
            "{error}"
        );
        let parts = [whole.copy(), whole.copy()];
        assert!(group.reduce_scatter(&parts, ReduceOp::Mean).is_err());
        group.all_reduce(&mut whole, ReduceOp::Sum).unwrap();
        assert_eq!(values(&whole), [2.0, 4.0]);
    });
}
