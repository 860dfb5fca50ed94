//! Hue, saturation and value of 8 bits as OpenCV has them: hue 0 to 179 in steps of two degrees.
//! Knows nothing of random changes.
//!
//! Source: OpenCV `cvtColor` with COLOR_BGR2HSV (reciprocals of 12 bits) and COLOR_HSV2BGR.

use multiversion::multiversion;

use super::Image;

const HUES: f32 = 180.0;
/// Pixels done at a time: their channels are parted, changed in one loop over so many numbers, which the compiler
/// vectorises, and put together again. All are whole numbers in single precision, because that has all operations on
/// every processor.
const LANES: usize = 64;

/// The larger one; unlike `f32::max` it says nothing of NaN, which costs more instructions.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Whole numbers of 0 to 255 as bytes: added to 2^23, a number is the lowest bits of the sum.
#[inline(always)]
fn byte(v: f32) -> u8 {
    (v + 8_388_608.0).to_bits() as u8
}

/// The nearest whole number, for less than 2^22, without a conversion.
#[inline(always)]
fn rounded(v: f32) -> f32 {
    const SHIFTER: f32 = 12_582_912.0;
    (v + SHIFTER) - SHIFTER
}

const SHIFT: f32 = 4096.0;
const SATURATION: f32 = 255.0 * SHIFT;
const HUE: f32 = HUES * SHIFT / 6.0;

/// `round(numerator / n)` of OpenCV's tables; the quotients are never halves.
#[inline(always)]
fn reciprocal(numerator: f32, n: f32) -> f32 {
    rounded(numerator / larger(n, 1.0))
}

/// `(product + 2048) >> 12` of OpenCV: exact, for the products here are below 2^24, and the last term makes
/// halves go up.
#[inline(always)]
fn shifted(product: f32) -> f32 {
    rounded(product * (1.0 / SHIFT) + 0.5 / SHIFT)
}

#[inline(always)]
fn to_hsv([b, g, r]: [f32; 3]) -> [f32; 3] {
    let value = larger(larger(b, g), r);
    let range = value - smaller(smaller(b, g), r);
    let of_green = if value == g { b - r + 2.0 * range } else { r - g + 4.0 * range };
    let sector = if value == r { g - b } else { of_green };
    let hue = shifted(sector * reciprocal(HUE, range));
    let hue = if hue < 0.0 { hue + HUES } else { hue };
    [hue, shifted(range * reciprocal(SATURATION, value)), value]
}

/// Hues below 180. A channel is full, and falls with the distance of the hue from its own colour.
#[inline(always)]
fn to_bgr([hue, saturation, value]: [f32; 3]) -> [f32; 3] {
    // A sixth of the circle is 30 hue steps.
    const SIXTH: f32 = 30.0;
    [SIXTH, 3.0 * SIXTH, 5.0 * SIXTH].map(|turn| {
        let turned = around(hue + turn);
        let distance = smaller(larger(smaller(turned, 4.0 * SIXTH - turned), 0.0), SIXTH);
        let taken = value * saturation * distance * (1.0 / (255.0 * SIXTH));
        rounded(value - taken)
    })
}

#[inline(always)]
fn around(hue: f32) -> f32 {
    if hue >= HUES { hue - HUES } else { hue }
}

/// Changes all pixels in blocks of [`LANES`].
#[inline(always)]
fn for_each_block(image: &mut Image, change: impl Fn([f32; 3]) -> [f32; 3]) {
    let (pixels, _) = image.data_mut().as_chunks_mut::<3>();
    let (blocks, rest) = pixels.as_chunks_mut::<LANES>();
    for block in blocks {
        change_block(block, &change);
    }
    let mut last = [[0; 3]; LANES];
    last[..rest.len()].copy_from_slice(rest);
    change_block(&mut last, &change);
    rest.copy_from_slice(&last[..rest.len()]);
}

#[inline(always)]
fn change_block(pixels: &mut [[u8; 3]; LANES], change: &impl Fn([f32; 3]) -> [f32; 3]) {
    let [mut first, mut second, mut third] = [[0; LANES]; 3];
    for i in 0..LANES {
        first[i] = pixels[i][0];
        second[i] = pixels[i][1];
        third[i] = pixels[i][2];
    }
    for ((a, b), c) in first.iter_mut().zip(&mut second).zip(&mut third) {
        let changed = change([f32::from(*a), f32::from(*b), f32::from(*c)]);
        (*a, *b, *c) = (byte(changed[0]), byte(changed[1]), byte(changed[2]));
    }
    for i in 0..LANES {
        pixels[i] = [first[i], second[i], third[i]];
    }
}

/// Hue, saturation, value in place of blue, green, red.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "x86_64+sse4.1"))]
pub fn bgr_to_hsv(image: &mut Image) {
    for_each_block(image, to_hsv);
}

/// Blue, green, red in place of hue, saturation, value.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "x86_64+sse4.1"))]
pub fn hsv_to_bgr(image: &mut Image) {
    for_each_block(image, |[hue, saturation, value]| to_bgr([around(hue), saturation, value]));
}

/// Adds to hue (around the circle), saturation and value (held within 0 to 255), in one pass.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2", "x86_64+sse4.1"))]
pub fn shift_hsv(image: &mut Image, shifts: [i32; 3]) {
    let shift = [shifts[0].rem_euclid(180), shifts[1], shifts[2]].map(|v| v as f32);
    let within = |v: f32| smaller(larger(v, 0.0), 255.0);
    for_each_block(image, |bgr| {
        let [hue, saturation, value] = to_hsv(bgr);
        let hue = around(hue + shift[0]);
        to_bgr([hue, within(saturation + shift[1]), within(value + shift[2])])
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hsv(bgr: [u8; 3]) -> [u8; 3] {
        let mut image = Image::filled(1, 1, bgr);
        bgr_to_hsv(&mut image);
        image.pixel(0, 0)
    }

    #[test]
    fn pure_colours_have_known_hues() {
        assert_eq!(hsv([0, 0, 255]), [0, 255, 255]);
        assert_eq!(hsv([0, 255, 0]), [60, 255, 255]);
        assert_eq!(hsv([255, 0, 0]), [120, 255, 255]);
        assert_eq!(hsv([90, 90, 90]), [0, 0, 90]);
        assert_eq!(hsv([0, 0, 0]), [0, 0, 0]);
    }

    #[test]
    fn reciprocals_are_those_of_the_tables() {
        for n in 1..=255u8 {
            for numerator in [SATURATION, HUE] {
                let exact = (f64::from(numerator) / f64::from(n)).round_ties_even();
                assert_eq!(f64::from(reciprocal(numerator, f32::from(n))), exact, "{n}");
            }
        }
    }

    #[test]
    fn there_and_back_changes_a_colour_little() {
        let levels = || (0..=255u8).step_by(15);
        let colours =
            levels().flat_map(|b| levels().flat_map(move |g| levels().map(move |r| [b, g, r])));
        let colours: Vec<[u8; 3]> = colours.collect();
        let mut image = Image::new(colours.len(), 1, colours.concat()).unwrap();
        bgr_to_hsv(&mut image);
        hsv_to_bgr(&mut image);
        for (x, colour) in colours.iter().enumerate() {
            let back = image.pixel(x, 0);
            let worst = (0..3).map(|i| back[i].abs_diff(colour[i])).max().unwrap();
            assert!(worst <= 5, "{colour:?} {back:?}");
        }
    }

    #[test]
    fn shift_turns_the_hue_around_and_holds_the_rest_in_bounds() {
        let mut image = Image::filled(1, 1, [0, 0, 255]);
        shift_hsv(&mut image, [-60, 30, 30]);
        assert_eq!(image.pixel(0, 0), [255, 0, 0]);
        shift_hsv(&mut image, [0, 0, -255]);
        assert_eq!(image.pixel(0, 0), [0, 0, 0]);
    }
}
