//! Ranks that do not come, or leave.

use std::time::{Duration, Instant};

use snaphook_c10d::{Failure, Group, GroupOptions, ReduceOp, Store};
use tch::Tensor;

use crate::processes::{TIMEOUT, alone, on_ranks};

#[test]
fn a_rank_that_does_not_come_is_waited_for_until_the_timeout() {
    on_ranks(2, |group| {
        group.set_timeout(Duration::from_millis(500)).unwrap();
        group.barrier().unwrap();
        if group.rank() == 1 {
            // Stays in the group, and takes no part.
            std::thread::sleep(Duration::from_millis(1500));
            group.give_up();
            return;
        }
        let began = Instant::now();
        let error = group.all_reduce(&mut Tensor::from(1.0), ReduceOp::Sum).unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!((error.failure(), error.rank()), (Failure::Timeout, Some(0)), "{error}");
        let begin = "rank 0 of 2, all-reduce: another process did not come in time (";
        assert!(error.to_string().starts_with(begin), "{error}");
        assert!(group.is_broken());
    });
}

#[test]
fn a_rank_that_leaves_is_noticed_at_once() {
    on_ranks(2, |group| {
        group.barrier().unwrap();
        if group.rank() == 1 {
            return;
        }
        let began = Instant::now();
        let error = group.barrier().unwrap_err();
        assert!(began.elapsed() < TIMEOUT / 2, "{error}");
        assert_eq!(error.failure(), Failure::Connection, "{error}");
    });
}

#[test]
fn a_group_that_does_not_fill_up_is_refused_after_the_timeout() {
    alone(|| {
        let store = Store::tcp_server("127.0.0.1", 0, Duration::from_millis(500)).unwrap();
        let options =
            GroupOptions { timeout: Duration::from_millis(500), ..GroupOptions::loopback() };
        let error = Group::gloo(&store, 0, 2, &options).unwrap_err();
        assert!(error.to_string().starts_with("rank 0 of 2, joining the group: "), "{error}");
        assert_eq!(error.failure(), Failure::Timeout, "{error}");
        let error = Group::gloo(&store, 2, 2, &options).unwrap_err().to_string();
        assert!(
            error.ends_with("expected a rank below 2, the size of the group, found 2"),
            "{error}"
        );
    });
}

#[test]
fn tensors_that_do_not_fit_are_refused_without_breaking_the_group() {
    on_ranks(2, |group| {
        let gaps = Tensor::zeros([2, 3], tch::kind::FLOAT_CPU).narrow(1, 0, 2);
        let error = group.start_all_reduce(&gaps, ReduceOp::Sum).unwrap_err();
        assert!(
            error.to_string().contains("expected a contiguous tensor, found [2, 2]"),
            "{error}"
        );
        let parts = [Tensor::from(1.0)];
        let error = group.reduce_scatter(&parts, ReduceOp::Sum).unwrap_err().to_string();
        assert!(error.contains("expected 2 parts, one for each rank, found 1"), "{error}");
        group.barrier().unwrap();
    });
}

#[test]
fn a_rank_that_closes_the_group_lets_the_others_know() {
    on_ranks(2, |group| {
        group.barrier().unwrap();
        if group.rank() == 1 {
            group.close();
            let error = group.barrier().unwrap_err().to_string();
            assert!(error.contains("the group is closed: this rank has failed"), "{error}");
            // Stays for as long as the other one needs to notice.
            std::thread::sleep(Duration::from_millis(500));
            return;
        }
        let error = group.barrier().unwrap_err();
        assert_eq!(error.failure(), Failure::Connection, "{error}");
    });
}

#[test]
fn a_failure_in_the_forward_pass_is_kept_for_whoever_trains() {
    on_ranks(2, |group| {
        snaphook_c10d::set_default_group(Some(group.clone()));
        assert_eq!(snaphook_c10d::mean_over_ranks(group.rank() as f64), 0.5);
        assert!(group.failure().is_none());
        if group.rank() == 0 {
            group.close();
            assert_eq!(snaphook_c10d::mean_over_ranks(7.0), 7.0);
            assert!(group.failure().unwrap().to_string().contains("the group is closed"));
        }
        snaphook_c10d::set_default_group(None);
        assert_eq!(snaphook_c10d::mean_over_ranks(7.0), 7.0);
    });
}

#[test]
fn a_roll_call_names_the_ranks_that_are_gone() {
    on_ranks(3, |group| {
        group.barrier().unwrap();
        if group.rank() == 1 {
            return;
        }
        group.barrier().unwrap_err();
        assert_eq!(group.missing_ranks(Duration::from_secs(2)).unwrap(), [1]);
    });
}
