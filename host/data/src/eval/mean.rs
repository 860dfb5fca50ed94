//! Means and roundings whose last digit is numpy's.
//! Knows nothing of what is summed.
//!
//! Source: numpy `loops_utils.h.src`, `pairwise_sum`: eight sums side by side for up to 128 numbers, halves of more; numpy's
//! `round`, which takes a half to the even neighbour. Where pycocotools' mean lies between two numbers of three digits, the
//! last bit decides which one is told.

/// Numbers that are summed without being halved.
const BLOCK: usize = 128;

/// The mean in the order in which numpy sums; `None` of nothing.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() { None } else { Some(sum(values) / values.len() as f64) }
}

fn sum(values: &[f64]) -> f64 {
    if values.len() < 8 {
        return values.iter().sum();
    }
    if values.len() > BLOCK {
        let half = values.len() / 2;
        let (first, second) = values.split_at(half - half % 8);
        return sum(first) + sum(second);
    }
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = eights[0];
    for eight in &eights[1..] {
        sums.iter_mut().zip(eight).for_each(|(sum, value)| *sum += value);
    }
    let [a, b, c, d, e, f, g, h] = sums;
    rest.iter().fold(((a + b) + (c + d)) + ((e + f) + (g + h)), |sum, value| sum + value)
}

/// Three digits, as numpy rounds to them.
pub(super) fn three_digits(value: f64) -> f64 {
    (value * 1000.0).round_ties_even() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers whose sum depends on the order.
    fn numbers(count: usize) -> Vec<f64> {
        (0..count).map(|i| 1.0 / (1.0 + (i * 7919 % 1009) as f64)).collect()
    }

    #[test]
    fn sums_equal_those_of_numpy_to_the_last_bit() {
        // numpy.add.reduce([1 / (1 + i * 7919 % 1009) for i in range(n)]).hex()
        let expected = [
            (3, 0x3ff00a98ff444c25),
            (7, 0x3ff059901e8400ca),
            (8, 0x3ff05de23647837d),
            (10, 0x3ff0696a78b4481a),
            (13, 0x3ff0945d7bee0fa1),
            (101, 0x3ff6ee3ce2beed5b),
            (128, 0x3ff9557b8e654e12),
            (129, 0x3ff95c57f70689ac),
            (200, 0x40000dfd6c550f65),
            (1010, 0x4020fd256c699694),
            (4040, 0x403efb6b59726be0),
        ];
        for (count, bits) in expected {
            assert_eq!(sum(&numbers(count)).to_bits(), bits, "{count}");
        }
        let in_order: f64 = numbers(4040).iter().sum();
        assert_ne!(in_order.to_bits(), sum(&numbers(4040)).to_bits());
        assert_eq!(mean(&[]), None);
    }

    #[test]
    fn a_half_goes_to_the_even_neighbour() {
        assert_eq!([0.7525, 0.7535, 0.0005].map(three_digits), [0.752, 0.754, 0.0]);
    }
}
