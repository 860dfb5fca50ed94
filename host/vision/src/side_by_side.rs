//! Work on several things at once, on as many threads as libtorch uses, which rests meanwhile.
//! Knows nothing of what is done.

use std::sync::Mutex;

/// The results in the order of `items`.
pub(crate) fn side_by_side<T: Send, R: Send>(
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1).min(items.len());
    match threads {
        0 | 1 => items.into_iter().map(work).collect(),
        _ => on_threads(threads, items, work),
    }
}

/// Threads take one item after another.
fn on_threads<T: Send, R: Send>(
    threads: usize,
    items: Vec<T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let waiting = Mutex::new(items.into_iter().enumerate());
    let next = || waiting.lock().expect("nothing panics while it takes an item").next();
    let take =
        || std::iter::from_fn(next).map(|(place, item)| (place, work(item))).collect::<Vec<_>>();
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
        let ended =
            running.into_iter().map(|thread| thread.join().expect("the work does not panic"));
        ended.flatten().collect()
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let slow_first = |item: u64| {
            std::thread::sleep(std::time::Duration::from_millis(3 * (8 - item)));
            item * item
        };
        let items = || (0..8).collect();
        let expected = [0, 1, 4, 9, 16, 25, 36, 49];
        assert_eq!(on_threads(3, items(), slow_first), expected);
        assert_eq!(side_by_side(items(), slow_first), expected);
        assert!(side_by_side(Vec::<u64>::new(), slow_first).is_empty());
    }
}
