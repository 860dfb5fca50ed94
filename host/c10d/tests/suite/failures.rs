//! Ranks that do not come, or leave.

use std::time::{Duration, Instant};

use snaphook_c10d::{Failure, Group, GroupOptions, ReduceOp, Store, await_ranks};
use tch::Tensor;

use crate::processes::{TIMEOUT, alone, on_ranks, on_ranks_like, on_ranks_of_rank_0};

#[test]
fn a_rank_that_does_not_come_is_waited_for_until_the_timeout() {
    on_ranks(2, |group| {
        group.barrier().unwrap();
        if group.rank() == 1 {
            // Stays in the group, and takes no part.
            group.store().get("it is over").unwrap();
            group.give_up();
            return;
        }
        group.set_timeout(Duration::from_millis(500)).unwrap();
        let began = Instant::now();
        let error = group.all_reduce(&mut Tensor::from(1.0), ReduceOp::Sum).unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!((error.failure(), error.rank()), (Failure::Timeout, Some(0)), "{error}");
        let begin = "rank 0 of 2, all-reduce: another process did not come in time (";
        assert!(error.to_string().starts_with(begin), "{error}");
        assert!(group.is_broken());
        group.store().set("it is over", b"").unwrap();
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
        assert_eq!(error.peers(), [1], "{error}");
        assert!(error.to_string().contains("the connection to rank 1 failed ("), "{error}");
        assert_eq!(group.broken_by().unwrap().to_string(), error.to_string());
    });
}

#[test]
fn the_peer_is_known_at_either_end_of_a_connection() {
    // Of each pair, one end has asked for the connection and the other one has listened.
    on_ranks(4, |group| {
        group.barrier().unwrap();
        if group.rank() == 3 {
            return;
        }
        let error = group.all_reduce(&mut Tensor::from(1.0), ReduceOp::Sum).unwrap_err();
        let [peer] = error.peers() else { panic!("{error}") };
        assert!(*peer < 4 && *peer != group.rank(), "{error}");
        group.close();
    });
}

#[test]
fn the_rank_that_comes_last_has_waited_for_the_shortest_time() {
    on_ranks(2, |group| {
        group.barrier().unwrap();
        if group.rank() == 0 {
            group.set_timeout(Duration::from_secs(2)).unwrap();
            let error = group.barrier().unwrap_err();
            group.close();
            let waited = error.waited().as_millis().to_string();
            return group.store().set("milliseconds", waited.as_bytes()).unwrap();
        }
        let waited = String::from_utf8(group.store().get("milliseconds").unwrap()).unwrap();
        let longest = Duration::from_millis(waited.parse().unwrap());
        assert!(longest >= Duration::from_millis(1900), "{longest:?}");
        let error = group.barrier().unwrap_err();
        assert!(error.waited() < longest, "{error}: {:?}, {longest:?}", error.waited());
    });
}

#[test]
fn ranks_that_do_not_come_are_named() {
    alone(|| {
        let store = Store::tcp_server("127.0.0.1", 0, TIMEOUT).unwrap();
        let port = store.port().unwrap();
        let second = std::thread::spawn(move || {
            let store = Store::tcp("127.0.0.1", port, TIMEOUT).unwrap();
            await_ranks(&store, (3, 4), Duration::from_secs(3), |_| true).unwrap_err()
        });
        let mut looks = 0;
        let error = await_ranks(&store, (0, 4), Duration::from_secs(3), |_| {
            looks += 1;
            true
        });
        let (error, second) = (error.unwrap_err(), second.join().unwrap());
        assert_eq!((error.peers(), second.peers()), (&[1, 2][..], &[1, 2][..]));
        let words = "rank 0 of 4, coming together: ranks 1, 2 did not come in time (waited ";
        assert!(error.to_string().starts_with(words), "{error}");
        assert_eq!(error.failure(), Failure::Timeout);
        assert!(looks > 2);
        let ended = await_ranks(&store, (1, 4), TIMEOUT, |arrivals| {
            assert_eq!(arrivals.missing().unwrap(), [2]);
            false
        });
        assert!(ended.unwrap_err().to_string().ends_with("coming together: the wait was ended"));
        await_ranks(&store, (2, 4), TIMEOUT, |_| true).unwrap();
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
        let error = group.barrier().unwrap_err();
        assert_eq!(group.with_missing(error, Duration::from_secs(5)).peers(), [1]);
        assert_eq!(group.missing_ranks(Duration::ZERO).unwrap(), [1]);
    });
}

/// Until its process has ended, it answers.
fn await_the_end_of_the_store(group: &Group) {
    let began = Instant::now();
    while group.store().has("anything").is_ok() {
        assert!(began.elapsed() < TIMEOUT, "the store is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_rank_that_is_gone_with_the_store_is_known_all_the_same() {
    on_ranks_of_rank_0(2, |group| {
        group.barrier().unwrap();
        if group.rank() == 0 {
            return;
        }
        let error = group.barrier().unwrap_err();
        assert_eq!((error.failure(), error.peers()), (Failure::Connection, &[0][..]), "{error}");
        await_the_end_of_the_store(&group);
        assert_eq!(group.missing_ranks(Duration::from_millis(100)).unwrap(), [0]);
    });
}

#[test]
fn one_of_many_ranks_is_known_when_the_store_is_gone() {
    on_ranks_of_rank_0(3, |group| {
        group.barrier().unwrap();
        if group.rank() == 0 {
            return;
        }
        await_the_end_of_the_store(&group);
        let error = group.all_reduce(&mut Tensor::from(1.0), ReduceOp::Sum).unwrap_err();
        // Rank 0's connection was closed first, or the other one has noticed before.
        let [peer] = error.peers() else { panic!("{error}") };
        assert_ne!(*peer, group.rank(), "{error}");
        assert_eq!(group.missing_ranks(Duration::from_millis(100)).unwrap(), [*peer]);
    });
}

#[test]
fn a_rank_that_asks_twice_for_the_others_counts_once() {
    alone(|| {
        let store = Store::tcp_server("127.0.0.1", 0, TIMEOUT).unwrap();
        let wait = || await_ranks(&store, (0, 2), Duration::from_millis(100), |_| true);
        assert_eq!(wait().unwrap_err().peers(), [1]);
        assert_eq!(wait().unwrap_err().peers(), [1]);
        await_ranks(&store, (1, 2), TIMEOUT, |_| true).unwrap();
        wait().unwrap();
    });
}

#[test]
fn a_second_group_at_the_same_store_is_refused_at_once() {
    on_ranks(2, |group| {
        let options = GroupOptions { timeout: TIMEOUT, ..GroupOptions::loopback() };
        let again = Group::gloo(group.store(), group.rank(), 2, &options).unwrap_err();
        assert!(again.to_string().contains("of its own for each group"), "{again}");
        let store = group.store().with_prefix("second").unwrap();
        group.barrier().unwrap();
        let second = Group::gloo(&store, group.rank(), 2, &options).unwrap();
        second.barrier().unwrap();
    });
}

#[test]
fn a_timeout_without_an_end_does_not_end_at_once() {
    let options = GroupOptions { timeout: Duration::MAX, ..GroupOptions::loopback() };
    on_ranks_like(options, 2, |group| {
        group.barrier().unwrap();
        std::thread::sleep(Duration::from_millis(300 * group.rank() as u64));
        group.barrier().unwrap();
        group.set_timeout(Duration::MAX).unwrap();
        group.start_barrier().unwrap().wait_for(Duration::MAX).unwrap();
    });
}

#[test]
fn ranks_that_check_are_told_of_another_shape_kind_or_collective() {
    let options = GroupOptions { checks: true, timeout: TIMEOUT, ..GroupOptions::loopback() };
    on_ranks_like(options, 2, |group| {
        let mut same = Tensor::from(1.0);
        group.all_reduce(&mut same, ReduceOp::Sum).unwrap();
        assert_eq!(same.double_value(&[]), 2.0);
        group.set_timeout(TIMEOUT / 2).unwrap();
        let rank = group.rank() as i64;
        let mut shapes = Tensor::zeros([4 + 4 * rank], tch::kind::FLOAT_CPU);
        let error = group.all_reduce(&mut shapes, ReduceOp::Sum).unwrap_err();
        assert!(
            error.message().contains("Detected mismatch between collectives on ranks"),
            "{error}"
        );
        assert!(error.message().contains("TensorShape=[8]"), "{error}");
        let kind = if rank == 0 { tch::Kind::Float } else { tch::Kind::Int };
        let error = group.broadcast(&mut Tensor::zeros([4], (kind, tch::Device::Cpu)), 0);
        assert!(error.unwrap_err().message().contains("TensorDtypes=Int"));
        let error = match rank {
            0 => group.all_reduce(&mut Tensor::from(1.0), ReduceOp::Sum),
            _ => group.broadcast(&mut Tensor::from(1.0), 0),
        };
        let words = error.unwrap_err().to_string();
        assert!(words.contains("ALLREDUCE") && words.contains("BROADCAST"), "{words}");
        group.close();
    });
}
