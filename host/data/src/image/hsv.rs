//! Hue, saturation and value of 8 bits as OpenCV has them: hue 0 to 179 in steps of two degrees.
//! Knows nothing of random changes.
//!
//! Source: OpenCV `cvtColor` with COLOR_BGR2HSV (12-bit reciprocal tables) and COLOR_HSV2BGR.

use std::array::from_fn;
use std::sync::LazyLock;

use super::Image;

const SHIFT: u32 = 12;
const HUES: i32 = 180;

/// Reciprocals of 1..=255, scaled: for the saturation by 255, for the hue by 180 / 6.
struct Reciprocals {
    saturation: [i32; 256],
    hue: [i32; 256],
}

static RECIPROCALS: LazyLock<Reciprocals> = LazyLock::new(|| {
    let table = |scale: f64| {
        from_fn(|i| if i == 0 { 0 } else { (scale / i as f64).round_ties_even() as i32 })
    };
    let one = f64::from(1 << SHIFT);
    Reciprocals { saturation: table(255.0 * one), hue: table(f64::from(HUES) * one / 6.0) }
});

#[inline(always)]
fn to_hsv(tables: &Reciprocals, [b, g, r]: [u8; 3]) -> [i32; 3] {
    let (b, g, r) = (i32::from(b), i32::from(g), i32::from(r));
    let value = b.max(g).max(r);
    let range = value - b.min(g).min(r);
    let rounding = 1 << (SHIFT - 1);
    let saturation = (range * tables.saturation[(value & 255) as usize] + rounding) >> SHIFT;
    let sector = if value == r {
        g - b
    } else if value == g {
        b - r + 2 * range
    } else {
        r - g + 4 * range
    };
    let hue = (sector * tables.hue[(range & 255) as usize] + rounding) >> SHIFT;
    [if hue < 0 { hue + HUES } else { hue }, saturation, value]
}

/// `hue` below 180.
#[inline(always)]
fn to_bgr([hue, saturation, value]: [i32; 3]) -> [u8; 3] {
    // A sixth of the circle is 30 hue steps, so every product has the denominator 255 * 30.
    const DENOMINATOR: i32 = 255 * 30;
    let sixth = hue / 30;
    let within = hue - sixth * 30;
    let chroma = value * saturation;
    let scaled = |taken: i32| ((value * DENOMINATOR - chroma * taken + DENOMINATOR / 2) / DENOMINATOR) as u8;
    let (low, falling, rising) = (scaled(30), scaled(within), scaled(30 - within));
    let high = value as u8;
    match sixth {
        0 => [low, rising, high],
        1 => [low, high, falling],
        2 => [rising, high, low],
        3 => [high, falling, low],
        4 => [high, low, rising],
        _ => [falling, low, high],
    }
}

/// Hue, saturation, value in place of blue, green, red.
pub fn bgr_to_hsv(image: &mut Image) {
    let tables = &*RECIPROCALS;
    for pixel in image.data_mut().as_chunks_mut::<3>().0 {
        *pixel = to_hsv(tables, *pixel).map(|v| v as u8);
    }
}

/// Blue, green, red in place of hue, saturation, value.
pub fn hsv_to_bgr(image: &mut Image) {
    for pixel in image.data_mut().as_chunks_mut::<3>().0 {
        *pixel = to_bgr([i32::from(pixel[0]) % HUES, i32::from(pixel[1]), i32::from(pixel[2])]);
    }
}

/// Adds to hue (around the circle), saturation and value (held within 0 to 255), in one pass.
pub fn shift_hsv(image: &mut Image, [hue, saturation, value]: [i32; 3]) {
    let tables = &*RECIPROCALS;
    let hue = hue.rem_euclid(HUES);
    for pixel in image.data_mut().as_chunks_mut::<3>().0 {
        let [h, s, v] = to_hsv(tables, *pixel);
        let turned = h + hue;
        let h = if turned >= HUES { turned - HUES } else { turned };
        *pixel = to_bgr([h, (s + saturation).clamp(0, 255), (v + value).clamp(0, 255)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_colours_have_known_hues() {
        let hsv = |bgr| to_hsv(&RECIPROCALS, bgr);
        assert_eq!(hsv([0, 0, 255]), [0, 255, 255]);
        assert_eq!(hsv([0, 255, 0]), [60, 255, 255]);
        assert_eq!(hsv([255, 0, 0]), [120, 255, 255]);
        assert_eq!(hsv([90, 90, 90]), [0, 0, 90]);
        assert_eq!(hsv([0, 0, 0]), [0, 0, 0]);
    }

    #[test]
    fn there_and_back_changes_a_colour_little() {
        for blue in (0..=255).step_by(15) {
            for green in (0..=255).step_by(15) {
                for red in (0..=255u8).step_by(15) {
                    let colour = [blue, green, red];
                    let back = to_bgr(to_hsv(&RECIPROCALS, colour));
                    let worst = (0..3).map(|i| back[i].abs_diff(colour[i])).max().unwrap();
                    assert!(worst <= 5, "{colour:?} {back:?}");
                }
            }
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
