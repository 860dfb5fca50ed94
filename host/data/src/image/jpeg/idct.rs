//! From coefficients to samples, rounded as libjpeg's slow integer transform rounds.
//! Knows nothing of where the samples lie in a picture.
//!
//! Source: C. Loeffler, A. Ligtenberg, G. Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications",
//! ICASSP 1989; libjpeg-turbo's `jidctint` for the precision: factors of 13 bits, 2 bits kept between the two passes. Values
//! that no picture has leave 16 bits; they wrap around or stay at the end of the range where its vector code does so.

use multiversion::multiversion;

use super::coefficients::Block;
use super::frame::SIDE;
use super::tables::Steps;

const FACTOR_BITS: u32 = 13;
const KEPT_BITS: u32 = 2;
/// Makes samples of what swings about zero.
const MIDDLE: i32 = 128;

/// A factor in fixed point.
const fn fixed(factor: f64) -> i32 {
    (factor * (1 << FACTOR_BITS) as f64 + 0.5) as i32
}

/// Transforms a row of blocks into eight rows of samples that lie `stride` apart.
#[multiversion(targets("x86_64+avx2", "x86_64+sse4.1"))]
pub(super) fn transform_row(
    blocks: &[Block],
    lasts: &[u8],
    steps: &Steps,
    samples: &mut [u8],
    stride: usize,
) {
    for (i, (block, last)) in blocks.iter().zip(lasts).enumerate() {
        let mut block_samples = [0; 64];
        match last {
            0 => block_samples.fill(flat(block[0], steps[0])),
            1..=9 => transform::<4>(block, steps, &mut block_samples),
            _ => transform::<8>(block, steps, &mut block_samples),
        }
        let (rows, _) = block_samples.as_chunks::<SIDE>();
        for (row, line) in rows.iter().zip(samples.chunks_mut(stride)) {
            line[i * SIDE..(i + 1) * SIDE].copy_from_slice(row);
        }
    }
}

/// The samples of a block with nothing but a first coefficient.
#[inline(always)]
fn flat(coefficient: i16, step: i16) -> u8 {
    let kept = coefficient.wrapping_mul(step) << KEPT_BITS;
    sample(kept.into(), KEPT_BITS + 3)
}

/// A block whose coefficients are zero but for `N` rows and columns.
#[inline(always)]
fn transform<const N: usize>(block: &Block, steps: &Steps, samples: &mut [u8; 64]) {
    let mut between = [0_i32; 64];
    // For this case the vector code has a way of its own, which wraps around.
    let has_first_row_alone = block[SIDE..N * SIDE].iter().fold(0, |any, &value| any | value) == 0;
    for column in 0..N {
        let mut line = [0; SIDE];
        for (row, value) in line.iter_mut().enumerate().take(N) {
            let at = row * SIDE + column;
            *value = i32::from(block[at].wrapping_mul(steps[at]));
        }
        let line = pass(line);
        for row in 0..SIDE {
            let value = descale(line[row], FACTOR_BITS - KEPT_BITS);
            between[row * SIDE + column] = match has_first_row_alone {
                true => wrapped(value),
                false => value.clamp(i16::MIN.into(), i16::MAX.into()),
            };
        }
    }
    for row in 0..SIDE {
        let mut line = [0; SIDE];
        line[..N].copy_from_slice(&between[row * SIDE..][..N]);
        let line = pass(line);
        for column in 0..SIDE {
            samples[row * SIDE + column] = sample(line[column], FACTOR_BITS + KEPT_BITS + 3);
        }
    }
}

#[inline(always)]
fn descale(value: i32, bits: u32) -> i32 {
    value.wrapping_add(1 << (bits - 1)) >> bits
}

/// A sample from a value that is 2 to the `bits` too large.
#[inline(always)]
fn sample(value: i32, bits: u32) -> u8 {
    (descale(value, bits) + MIDDLE).clamp(0, 255) as u8
}

/// The low 16 bits: what vector code of 16 bits leaves of a sum.
#[inline(always)]
fn wrapped(value: i32) -> i32 {
    i32::from(value as i16)
}

/// Eight values transformed, `FACTOR_BITS` larger than they come.
#[inline(always)]
fn pass(line: [i32; SIDE]) -> [i32; SIDE] {
    let [c0, c1, c2, c3, c4, c5, c6, c7] = line;
    let add = i32::wrapping_add;
    let sub = i32::wrapping_sub;
    let mul = i32::wrapping_mul;

    let turned = mul(c2 + c6, const { fixed(0.541_196_100) });
    let low = sub(turned, mul(c6, const { fixed(1.847_759_065) }));
    let high = add(turned, mul(c2, const { fixed(0.765_366_865) }));
    let sum = wrapped(c0 + c4) << FACTOR_BITS;
    let difference = wrapped(c0 - c4) << FACTOR_BITS;
    let even = [add(sum, high), add(difference, low), sub(difference, low), sub(sum, high)];

    let (sevens, fives) = (wrapped(c7 + c3), wrapped(c5 + c1));
    let all = mul(sevens + fives, const { fixed(1.175_875_602) });
    let outer = mul(c7 + c1, const { fixed(0.899_976_223) });
    let inner = mul(c5 + c3, const { fixed(2.562_915_447) });
    let first = sub(all, mul(sevens, const { fixed(1.961_570_560) }));
    let second = sub(all, mul(fives, const { fixed(0.390_180_644) }));
    let odd = [
        add(sub(mul(c1, const { fixed(1.501_321_110) }), outer), second),
        add(sub(mul(c3, const { fixed(3.072_711_026) }), inner), first),
        add(sub(mul(c5, const { fixed(2.053_119_869) }), inner), second),
        add(sub(mul(c7, const { fixed(0.298_631_336) }), outer), first),
    ];
    [
        add(even[0], odd[0]),
        add(even[1], odd[1]),
        add(even[2], odd[2]),
        add(even[3], odd[3]),
        sub(even[3], odd[3]),
        sub(even[2], odd[2]),
        sub(even[1], odd[1]),
        sub(even[0], odd[0]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transformed(block: &Block, last: u8) -> [u8; 64] {
        let mut samples = [0; 64];
        transform_row(&[*block], &[last], &[1; 64], &mut samples, 8);
        samples
    }

    /// The transform as T.81, A.3.3 defines it, in double precision.
    fn exact(block: &Block) -> [f64; 64] {
        let scale = |k: usize| if k == 0 { 0.5_f64.sqrt() } else { 1.0 };
        let wave = |x: usize, u: usize| {
            (std::f64::consts::PI * (2 * x + 1) as f64 * u as f64 / 16.0).cos() * scale(u) / 2.0
        };
        std::array::from_fn(|at| {
            let (y, x) = (at / 8, at % 8);
            let parts = (0..64).map(|k| f64::from(block[k]) * wave(y, k / 8) * wave(x, k % 8));
            parts.sum::<f64>() + 128.0
        })
    }

    #[test]
    fn samples_are_those_of_the_exact_transform_rounded() {
        let mut block = [0; 64];
        for (i, at) in (0..64).step_by(3).enumerate() {
            block[at] = (i as i16 * 37 % 101 - 50) / (1 + at as i16 / 16);
        }
        for (ours, exact) in transformed(&block, 63).iter().zip(exact(&block)) {
            assert!((f64::from(*ours) - exact.clamp(0.0, 255.0)).abs() < 0.6);
        }
    }

    #[test]
    fn ways_for_few_coefficients_give_the_same() {
        let mut block = [0; 64];
        block[0] = -117;
        assert_eq!(transformed(&block, 0), transformed(&block, 63));
        for (at, value) in [(1, 35), (8, -90), (2, 17), (16, 3), (3, -44), (24, 21), (9, 8)] {
            block[at] = value;
        }
        assert_eq!(transformed(&block, 9), transformed(&block, 63));
    }

    #[test]
    fn values_that_no_picture_has_are_no_panic() {
        for value in [i16::MIN, i16::MAX] {
            let samples = &mut [0; 64];
            transform_row(&[[value; 64]], &[63], &[i16::MAX; 64], samples, 8);
            transform_row(&[[value; 64]], &[0], &[i16::MIN; 64], samples, 8);
        }
    }
}
