//! `AspectRatioBatchSampler`: batches of pictures of one orientation.
//! Knows nothing of how the samples are ordered before.
//!
//! Source: MMDetection 3.3.0 `samplers/batch_sampler.py`. We differ in three points: with `drop_last` a last batch that is
//! full is kept, as its length says; of an endless stream, each epoch is grouped by itself; and the batches of all
//! processes together are formed here, where in MMDetection each process forms its own of its share. So all of them have
//! the same orientation at a step, and see what one process would.

/// Puts indices into an order whose successive batches are of one kind each; only the last ones, of what is left over,
/// may hold both.
pub(super) fn grouped(
    indices: &[usize],
    batch_size: usize,
    is_wide: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let mut order = Vec::with_capacity(indices.len());
    let mut waiting: [Vec<usize>; 2] = Default::default();
    for &index in indices {
        let group = &mut waiting[usize::from(is_wide(index))];
        group.push(index);
        if group.len() == batch_size {
            order.append(group);
        }
    }
    order.extend(waiting.into_iter().flatten());
    order
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn batches_are_of_one_kind_and_nothing_is_lost() {
        let indices: Vec<usize> = (0..23).map(|i| i * 7 % 23).collect();
        let is_wide = |index: usize| index.is_multiple_of(3);
        let order = grouped(&indices, 4, is_wide);
        let mixed = |batch: &[usize]| batch.iter().any(|i| is_wide(*i) != is_wide(batch[0]));
        let batches: Vec<&[usize]> = order.chunks(4).collect();
        assert!(batches[..batches.len() - 2].iter().all(|batch| !mixed(batch)));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..23).collect::<Vec<_>>());
    }

    #[test]
    fn a_batch_comes_when_it_is_full() {
        let order = grouped(&[0, 1, 2, 3, 4, 6, 5], 2, |index| index.is_multiple_of(2));
        assert_eq!(order, [0, 2, 1, 3, 4, 6, 5]);
    }
}
