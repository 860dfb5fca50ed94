//! Hue, saturation and value of 8 bits as OpenCV has them: hue 0 to 179 in steps of two degrees.
//! Knows nothing of random changes.
//!
//! Source: OpenCV `cvtColor` with COLOR_BGR2HSV (reciprocals of 12 bits) and COLOR_HSV2BGR.

use super::Image;

const HUES: f32 = 180.0;
/// Pixels done at a time: each step is a loop over so many numbers, which the compiler vectorises. All
/// are whole numbers in single precision, because that has all operations on every processor.
const LANES: usize = 32;

type Lanes = [f32; LANES];
type Pixels = [[u8; 3]; LANES];

fn split(pixels: &Pixels) -> [Lanes; 3] {
    let mut channels = [[0.0; LANES]; 3];
    for i in 0..LANES {
        channels[0][i] = f32::from(pixels[i][0]);
        channels[1][i] = f32::from(pixels[i][1]);
        channels[2][i] = f32::from(pixels[i][2]);
    }
    channels
}

/// Whole numbers of 0 to 255 as bytes: added to 2^23, a number is the lowest bits of the sum.
fn join(channels: &[Lanes; 3], pixels: &mut Pixels) {
    let byte = |v: f32| (v + 8_388_608.0).to_bits() as u8;
    for i in 0..LANES {
        pixels[i] = [byte(channels[0][i]), byte(channels[1][i]), byte(channels[2][i])];
    }
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
    rounded(numerator / n.max(1.0))
}

/// `(product + 2048) >> 12` of OpenCV: exact, for the products here are below 2^24, and the last term makes
/// halves go up.
#[inline(always)]
fn shifted(product: f32) -> f32 {
    rounded(product * (1.0 / SHIFT) + 0.5 / SHIFT)
}

#[inline(always)]
fn to_hsv([blue, green, red]: &[Lanes; 3]) -> [Lanes; 3] {
    let mut hsv = [[0.0; LANES]; 3];
    for i in 0..LANES {
        let (b, g, r) = (blue[i], green[i], red[i]);
        let value = b.max(g).max(r);
        let range = value - b.min(g).min(r);
        let of_green = if value == g { b - r + 2.0 * range } else { r - g + 4.0 * range };
        let sector = if value == r { g - b } else { of_green };
        let hue = shifted(sector * reciprocal(HUE, range));
        hsv[0][i] = if hue < 0.0 { hue + HUES } else { hue };
        hsv[1][i] = shifted(range * reciprocal(SATURATION, value));
        hsv[2][i] = value;
    }
    hsv
}

/// Hues below 180. A channel is full, and falls with the distance of the hue from its own colour.
#[inline(always)]
fn to_bgr([hue, saturation, value]: &[Lanes; 3]) -> [Lanes; 3] {
    // A sixth of the circle is 30 hue steps.
    const SIXTH: f32 = 30.0;
    let mut bgr = [[0.0; LANES]; 3];
    for (channel, turn) in bgr.iter_mut().zip([SIXTH, 3.0 * SIXTH, 5.0 * SIXTH]) {
        for i in 0..LANES {
            let turned = hue[i] + turn;
            let turned = if turned >= HUES { turned - HUES } else { turned };
            let distance = turned.min(4.0 * SIXTH - turned).clamp(0.0, SIXTH);
            let taken = value[i] * saturation[i] * distance * (1.0 / (255.0 * SIXTH));
            channel[i] = rounded(value[i] - taken);
        }
    }
    bgr
}

/// Changes all pixels in blocks of [`LANES`].
fn for_each_block(image: &mut Image, change: impl Fn(&[Lanes; 3]) -> [Lanes; 3]) {
    let (pixels, _) = image.data_mut().as_chunks_mut::<3>();
    let (blocks, rest) = pixels.as_chunks_mut::<LANES>();
    for block in blocks {
        join(&change(&split(block)), block);
    }
    let mut last = [[0; 3]; LANES];
    last[..rest.len()].copy_from_slice(rest);
    join(&change(&split(&last)), &mut last);
    rest.copy_from_slice(&last[..rest.len()]);
}

/// Hue, saturation, value in place of blue, green, red.
pub fn bgr_to_hsv(image: &mut Image) {
    for_each_block(image, to_hsv);
}

/// Blue, green, red in place of hue, saturation, value.
pub fn hsv_to_bgr(image: &mut Image) {
    for_each_block(image, |[hue, saturation, value]| {
        to_bgr(&[hue.map(|h| if h >= HUES { h - HUES } else { h }), *saturation, *value])
    });
}

/// Adds to hue (around the circle), saturation and value (held within 0 to 255), in one pass.
pub fn shift_hsv(image: &mut Image, [hue, saturation, value]: [i32; 3]) {
    let (hue, saturation, value) = (hue.rem_euclid(180) as f32, saturation as f32, value as f32);
    for_each_block(image, |bgr| {
        let [mut hues, mut saturations, mut values] = to_hsv(bgr);
        for i in 0..LANES {
            let turned = hues[i] + hue;
            hues[i] = if turned >= HUES { turned - HUES } else { turned };
            saturations[i] = (saturations[i] + saturation).clamp(0.0, 255.0);
            values[i] = (values[i] + value).clamp(0.0, 255.0);
        }
        to_bgr(&[hues, saturations, values])
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
