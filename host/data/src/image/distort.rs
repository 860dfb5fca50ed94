//! Brightness, contrast, saturation and hue, in floats as OpenCV has them.
//! Knows nothing of what is drawn at random.
//!
//! Source: OpenCV `cvtColor` of floats: hue in degrees, saturation 0 to 1, value as the pixels are. Nothing is held
//! within 0 to 255 before the end.

use super::Image;

/// What to change; fields that are `None` change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Distortion {
    /// Added to all channels, of 255.
    pub brightness: Option<f32>,
    /// Factor of all channels.
    pub contrast: Option<f32>,
    /// Whether the contrast comes before saturation and hue.
    pub is_contrast_first: bool,
    /// Factor of the saturation.
    pub saturation: Option<f32>,
    /// Added to the hue, in degrees.
    pub hue: Option<f32>,
    /// The channels that blue, green and red are taken from.
    pub channels: Option<[usize; 3]>,
}

/// Changes all pixels, and rounds them.
pub fn distort(image: &mut Image, distortion: &Distortion) {
    let (pixels, _) = image.data_mut().as_chunks_mut::<3>();
    for pixel in pixels {
        let changed = distorted(pixel.map(f32::from), distortion);
        *pixel = changed.map(|level| level.round_ties_even().clamp(0.0, 255.0) as u8);
    }
}

#[inline(always)]
fn distorted(mut bgr: [f32; 3], distortion: &Distortion) -> [f32; 3] {
    if let Some(delta) = distortion.brightness {
        bgr = bgr.map(|level| level + delta);
    }
    let contrast = distortion.contrast.unwrap_or(1.0);
    if distortion.is_contrast_first {
        bgr = bgr.map(|level| level * contrast);
    }
    if distortion.saturation.is_some() || distortion.hue.is_some() {
        let [mut hue, mut saturation, value] = to_hsv(bgr);
        if let Some(factor) = distortion.saturation {
            saturation *= factor;
            if factor > 1.0 {
                saturation = saturation.clamp(0.0, 1.0);
            }
        }
        if let Some(turn) = distortion.hue {
            hue = turned(hue + turn);
        }
        bgr = to_bgr([hue, saturation, value]);
    }
    if !distortion.is_contrast_first {
        bgr = bgr.map(|level| level * contrast);
    }
    match distortion.channels {
        Some(channels) => channels.map(|channel| bgr[channel]),
        None => bgr,
    }
}

fn turned(hue: f32) -> f32 {
    if hue > 360.0 {
        hue - 360.0
    } else if hue < 0.0 {
        hue + 360.0
    } else {
        hue
    }
}

fn to_hsv([b, g, r]: [f32; 3]) -> [f32; 3] {
    let value = b.max(g).max(r);
    let range = value - b.min(g).min(r);
    let saturation = range / (value.abs() + f32::EPSILON);
    let sixth = 60.0 / (range + f32::EPSILON);
    let hue = if value == r {
        (g - b) * sixth
    } else if value == g {
        (b - r) * sixth + 120.0
    } else {
        (r - g) * sixth + 240.0
    };
    [if hue < 0.0 { hue + 360.0 } else { hue }, saturation, value]
}

fn to_bgr([hue, saturation, value]: [f32; 3]) -> [f32; 3] {
    let place = (hue / 60.0).rem_euclid(6.0);
    let sector = place.floor();
    let within = place - sector;
    let low = value * (1.0 - saturation);
    let falling = value * (1.0 - saturation * within);
    let rising = value * (1.0 - saturation * (1.0 - within));
    match sector as u8 {
        0 => [low, rising, value],
        1 => [low, value, falling],
        2 => [rising, value, low],
        3 => [value, falling, low],
        4 => [value, low, rising],
        _ => [falling, low, value],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(bgr: [u8; 3], distortion: Distortion) -> [u8; 3] {
        let mut image = Image::filled(1, 1, bgr);
        distort(&mut image, &distortion);
        image.pixel(0, 0)
    }

    #[test]
    fn nothing_asked_for_changes_nothing() {
        assert_eq!(changed([3, 100, 250], Distortion::default()), [3, 100, 250]);
        let no_turn = Distortion { hue: Some(0.0), saturation: Some(1.0), ..Default::default() };
        for bgr in [[3, 100, 250], [90, 90, 90], [255, 0, 1], [20, 200, 20]] {
            assert_eq!(changed(bgr, no_turn), bgr);
        }
    }

    #[test]
    fn each_change_does_what_it_is_called() {
        let of = |distortion| changed([10, 20, 200], distortion);
        assert_eq!(of(Distortion { brightness: Some(70.0), ..Default::default() }), [80, 90, 255]);
        assert_eq!(of(Distortion { contrast: Some(0.5), ..Default::default() }), [5, 10, 100]);
        assert_eq!(of(Distortion { saturation: Some(0.0), ..Default::default() }), [200; 3]);
        assert_eq!(
            of(Distortion { channels: Some([2, 0, 1]), ..Default::default() }),
            [200, 10, 20]
        );
        let red = changed([0, 0, 240], Distortion { hue: Some(120.0), ..Default::default() });
        assert_eq!(red, [0, 240, 0]);
    }

    #[test]
    fn what_is_too_bright_in_between_comes_back() {
        let distortion =
            Distortion { brightness: Some(32.0), contrast: Some(0.5), ..Default::default() };
        assert_eq!(changed([240; 3], distortion), [136; 3]);
    }
}
