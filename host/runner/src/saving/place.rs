//! Where a run goes on in its data when another number of ranks, or of samples a step, takes over, and what is to be said of
//! it. Arithmetic alone: knows nothing of checkpoints and logs.

use crate::{Order, Rest};

/// How a run goes through its data, or went before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) world: u64,
    /// Samples of a step over all ranks, above 0.
    pub(super) step: u64,
    /// Steps of an epoch.
    pub(super) length: u64,
}

/// The data of the run that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data {
    pub(super) samples: u64,
    pub(super) order: Order,
    /// Whether they are those that the checkpoint was trained on.
    pub(super) is_same: bool,
}

/// What a run had done: whole epochs, where it counts them, and all iterations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    pub(super) epochs: Option<u64>,
    pub(super) iterations: u64,
}

/// Where it goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) iteration: u64,
    /// For the log, after what both runs have.
    pub(super) words: String,
}

/// By epochs it goes on at the step that begins at the last sample that was trained, or before it; by iterations it keeps
/// its iteration.
pub(super) fn go_on(done: Done, [before, now]: [Pace; 2], data: Data) -> Place {
    let old = done.iterations;
    if data.is_same && (before.step, before.length) == (now.step, now.length) {
        return Place { iteration: old, words: alike([before, now], data) };
    }
    let Some(epochs) = done.epochs else {
        let words = format!("iteration {old} stays, and later ones see other samples");
        return Place { iteration: old, words };
    };
    let (iteration, trained_again) = match data.order {
        Order::Stream if data.is_same => in_stream((epochs, old), [before, now]),
        _ => in_epoch((epochs, old), [before, now], data.samples),
    };
    let within = |iteration: u64, pace: Pace| iteration.saturating_sub(epochs * pace.length);
    let is_whole = [0, before.length].contains(&within(old, before)) || within(iteration, now) == 0;
    let place = match (data.is_same, data.order) {
        (false, _) => ", and steps see other samples".to_owned(),
        (true, Order::Steps(_)) if !is_whole => {
            ", whose epoch goes on in another order: some of its samples are trained again and others not at all"
                .to_owned()
        }
        _ => match trained_again {
            0 => ", at the same place in the data".to_owned(),
            again @ 1.. => format!(", so that {} trained again", samples(again)),
            left => format!(", so that {} left out", samples(left)),
        },
    };
    let words = match iteration == old {
        true => format!("iteration {old} stays{place}"),
        false => format!(
            "iteration {old} is now {iteration}{place}, and schedules by iteration go on from there"
        ),
    };
    Place { iteration, words }
}

/// `1 sample is`, `3 samples are`.
fn samples(count: i64) -> String {
    match count.unsigned_abs() {
        1 => "1 sample is".to_owned(),
        count => format!("{count} samples are"),
    }
}

/// The same steps by other ranks: what a last step lacks depends on their number.
fn alike(paces: [Pace; 2], data: Data) -> String {
    let (Order::Passes(rest) | Order::Steps(rest)) = data.order else { return SAME.to_owned() };
    let left = data.samples % paces[0].step;
    let [before, now] = paces.map(|pace| match rest {
        Rest::Dropped => 0,
        Rest::Repeated => left.next_multiple_of(pace.world),
        Rest::Shared => left / pace.world * pace.world,
    });
    if before == now {
        return SAME.to_owned();
    }
    format!(
        "{SAME}, but the last one of an epoch, which had {before} and has {now} now (all ranks get as many)"
    )
}

const SAME: &str = "every step sees the same samples as before";

/// The iteration at, or before, the place in an epoch of samples that all have their turn, and how many samples come again.
fn in_epoch((epochs, old): (u64, u64), [before, now]: [Pace; 2], samples: u64) -> (u64, i64) {
    let within = old.saturating_sub(epochs * before.length);
    let begin = epochs * now.length;
    if within >= before.length {
        return (begin + now.length, 0);
    }
    let trained = (within * before.step).min(samples);
    let steps = trained / now.step;
    if steps >= now.length {
        return (begin + now.length, 0);
    }
    (begin + steps, difference(trained, steps * now.step))
}

/// The same in a stream, whose epochs begin at other samples when their steps are of another size: what is left out counts
/// below 0.
fn in_stream((epochs, old): (u64, u64), [before, now]: [Pace; 2]) -> (u64, i64) {
    let trained = old * before.step;
    let begin = epochs * now.length;
    let iteration = (trained / now.step).clamp(begin, begin + now.length);
    (iteration, difference(trained, iteration * now.step))
}

fn difference(one: u64, other: u64) -> i64 {
    i64::try_from(i128::from(one) - i128::from(other)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSES: Order = Order::Passes(Rest::Repeated);

    /// World and samples of a step for 13 samples, with epochs as the loader makes them.
    fn pace(world: u64, step: u64) -> Pace {
        Pace { world, step, length: 13_u64.div_ceil(step) }
    }

    fn at(epochs: u64, iterations: u64) -> Done {
        Done { epochs: Some(epochs), iterations }
    }

    fn data(order: Order) -> Data {
        Data { samples: 13, order, is_same: true }
    }

    #[track_caller]
    fn expect(place: Place, iteration: u64, words: &str) {
        assert_eq!((place.iteration, place.words.as_str()), (iteration, words));
    }

    #[test]
    fn samples_that_come_again_are_counted() {
        let paces = [pace(3, 3), pace(2, 4)];
        // Epoch 2 had 3 samples, which a step of 4 does not begin after.
        let words = "iteration 6 is now 4, so that 3 samples are trained again, and schedules by iteration go on from there";
        expect(go_on(at(1, 6), paces, data(PASSES)), 4, words);
        let words = "iteration 3 is now 4, so that 1 sample is trained again, and schedules by iteration go on from there";
        expect(go_on(at(0, 3), [pace(3, 3), pace(2, 2)], data(PASSES)), 4, words);
        let words = "iteration 4 is now 3, at the same place in the data, and schedules by iteration go on from there";
        expect(go_on(at(0, 4), paces, data(PASSES)), 3, words);
        let words = "iteration 5 is now 4, at the same place in the data, and schedules by iteration go on from there";
        expect(go_on(at(1, 5), paces, data(PASSES)), 4, words);
        // The last step of the epoch was done, and the epoch is not begun again.
        expect(go_on(at(0, 5), paces, data(PASSES)), 4, words);
        let dropping = |length| Pace { length, ..pace(1, 4) };
        let done = go_on(at(0, 2), [Pace { length: 2, ..pace(1, 6) }, dropping(3)], {
            data(Order::Passes(Rest::Dropped))
        });
        assert_eq!(done.iteration, 3);
    }

    #[test]
    fn equal_steps_see_equal_samples_but_for_the_last_of_an_epoch() {
        let same = "every step sees the same samples as before";
        let of = |paces, order| go_on(at(1, 7), paces, data(order));
        expect(of([pace(2, 6), pace(1, 6)], Order::Stream), 7, same);
        expect(of([pace(2, 6), pace(1, 6)], Order::Passes(Rest::Dropped)), 7, same);
        let last = format!(
            "{same}, but the last one of an epoch, which had 3 and has 1 now (all ranks get as many)"
        );
        expect(of([pace(3, 3), pace(1, 3)], PASSES), 7, &last);
        expect(of([pace(3, 3), pace(1, 3)], Order::Steps(Rest::Repeated)), 7, &last);
        let twelve = Data { samples: 12, ..data(PASSES) };
        let paces = [Pace { length: 4, ..pace(3, 3) }, Pace { length: 4, ..pace(1, 3) }];
        expect(go_on(at(1, 7), paces, twelve), 7, same);
    }

    #[test]
    fn iterations_stay_where_they_are_what_counts() {
        let done = Done { epochs: None, iterations: 6 };
        let words = "iteration 6 stays, and later ones see other samples";
        expect(go_on(done, [pace(3, 3), pace(2, 4)], data(Order::Stream)), 6, words);
        let other = Data { is_same: false, ..data(PASSES) };
        expect(go_on(done, [pace(2, 4), pace(1, 4)], other), 6, words);
    }

    #[test]
    fn a_stream_goes_on_at_its_place_or_tells_the_difference() {
        // Whole steps of 13 samples: epochs of 4 steps of 3, of 3 steps of 4, and of 2 steps of 5.
        let whole = |world, step| Pace { world, step, length: 13 / step };
        let of = |done, now| go_on(done, [whole(3, 3), now], data(Order::Stream));
        let words = "iteration 5 is now 3, so that 3 samples are trained again, and schedules by iteration go on from there";
        expect(of(at(1, 5), whole(2, 4)), 3, words);
        let words = "iteration 4 is now 2, so that 2 samples are trained again, and schedules by iteration go on from there";
        expect(of(at(1, 4), whole(1, 5)), 2, words);
        let back = go_on(at(3, 6), [whole(1, 5), whole(3, 3)], data(Order::Stream));
        let words = "iteration 6 is now 12, so that 6 samples are left out, and schedules by iteration go on from there";
        expect(back, 12, words);
    }

    #[test]
    fn an_order_that_depends_on_the_step_is_another_one_in_the_middle() {
        let grouped = data(Order::Steps(Rest::Repeated));
        let place = go_on(at(0, 2), [pace(3, 3), pace(2, 2)], grouped);
        assert_eq!(place.iteration, 3);
        assert!(
            place.words.contains("some of its samples are trained again and others not at all")
        );
        let place = go_on(at(1, 5), [pace(3, 3), pace(2, 2)], grouped);
        assert!(place.words.starts_with("iteration 5 is now 7, at the same place"), "{place:?}");
        let place = go_on(at(0, 5), [pace(3, 3), pace(2, 2)], grouped);
        assert!(place.words.starts_with("iteration 5 is now 7, at the same place"), "{place:?}");
    }

    #[test]
    fn of_other_data_no_place_is_claimed() {
        let other = Data { is_same: false, ..data(PASSES) };
        let place = go_on(at(1, 7), [pace(3, 3), pace(1, 3)], other);
        expect(place, 7, "iteration 7 stays, and steps see other samples");
    }
}
