//! The hand-over from threads to the one who asks: bounded, and in order.
//! Knows nothing of samples; a slot holds whatever the threads make.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Results in the order of their positions, however the threads finish.
pub(super) struct OrderedQueue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
}

struct State<T> {
    /// The slots of positions taken but not yet asked for; `None` while a thread works on it.
    slots: VecDeque<Option<T>>,
    /// Position of the first slot.
    first: usize,
    /// Positions end here.
    end: usize,
    is_stopped: bool,
}

impl<T> OrderedQueue<T> {
    /// For positions `0..end`, of which at most `capacity` are worked on or wait.
    pub(super) fn new(end: usize, capacity: usize) -> Self {
        let state = State { slots: VecDeque::new(), first: 0, end, is_stopped: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), capacity: capacity.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next position to work on; waits while the queue is full; `None`: nothing is left to do.
    pub(super) fn take_position(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            let next = state.first + state.slots.len();
            if state.is_stopped || next >= state.end {
                return None;
            }
            if state.slots.len() < self.capacity {
                state.slots.push_back(None);
                return Some(next);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Fills the slot of a position taken before.
    pub(super) fn deliver(&self, position: usize, result: T) {
        let mut state = self.lock();
        let slot = position.checked_sub(state.first);
        if let Some(slot) = slot.and_then(|i| state.slots.get_mut(i)) {
            *slot = Some(result);
        }
        self.changed.notify_all();
    }

    /// The result of the next position; waits for it; `None` at the end.
    pub(super) fn next(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.is_stopped || state.first >= state.end {
                return None;
            }
            if let Some(result) = state.slots.front_mut().and_then(Option::take) {
                state.slots.pop_front();
                state.first += 1;
                self.changed.notify_all();
                return Some(result);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets everyone go, and frees what waits.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        state.slots.clear();
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_whoever_is_first() {
        let queue = OrderedQueue::new(3, 3);
        let positions: Vec<_> = (0..3).map(|_| queue.take_position().unwrap()).collect();
        for position in positions.into_iter().rev() {
            queue.deliver(position, position * 10);
        }
        assert_eq!(
            [queue.next(), queue.next(), queue.next(), queue.next()],
            [Some(0), Some(10), Some(20), None]
        );
        assert_eq!(queue.take_position(), None);
    }

    #[test]
    fn threads_wait_while_the_queue_is_full_and_go_when_it_stops() {
        let queue = OrderedQueue::new(100, 2);
        let (a, b) = (queue.take_position().unwrap(), queue.take_position().unwrap());
        std::thread::scope(|scope| {
            let third = scope.spawn(|| queue.take_position());
            queue.deliver(b, 'b');
            queue.deliver(a, 'a');
            assert_eq!(queue.next(), Some('a'));
            assert_eq!(third.join().unwrap(), Some(2));
            let fourth = scope.spawn(|| queue.take_position());
            queue.stop();
            assert_eq!(fourth.join().unwrap(), None);
        });
        queue.deliver(2, 'c');
        assert_eq!(queue.next(), None);
    }
}
