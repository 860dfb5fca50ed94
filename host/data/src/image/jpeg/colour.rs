//! From the components of a picture to blue, green, red.
//! Knows nothing of blocks.
//!
//! Source: JFIF 1.02 for the colours, libjpeg's `jdcolor` for how they are rounded and which ones components are,
//! OpenCV's `grfmt_jpeg` for cyan, magenta, yellow and black.

use multiversion::multiversion;

use super::frame::Frame;

/// What the components of a picture are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    Rgb,
    /// Brightness and two differences of colour.
    YCbCr,
    Cmyk,
    /// Brightness and differences of what the inks leave out, and black.
    Ycck,
}

impl Colours {
    /// Decided by the marks of JFIF and Adobe, else by the components' names.
    pub(super) fn of(frame: &Frame, is_jfif: bool, adobe: Option<u8>) -> Self {
        let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
        match (&ids[..], adobe) {
            ([_], _) => Self::Grey,
            ([_, _, _, _], None | Some(0)) => Self::Cmyk,
            ([_, _, _, _], Some(_)) => Self::Ycck,
            _ if is_jfif => Self::YCbCr,
            (_, Some(0)) => Self::Rgb,
            (_, Some(_)) => Self::YCbCr,
            (b"RGB", None) => Self::Rgb,
            _ => Self::YCbCr,
        }
    }

    /// Fills a row of pixels from rows of samples, one of each component.
    pub(super) fn convert_row(self, rows: &[&[u8]], pixels: &mut [u8]) {
        match (self, rows) {
            (Self::Grey, [grey, ..]) => grey_row(grey, pixels),
            (Self::Rgb, [red, green, blue, ..]) => rgb_row([red, green, blue], pixels),
            (Self::YCbCr, [y, cb, cr, ..]) => ycc_row([y, cb, cr], pixels),
            (Self::Cmyk, [cyan, magenta, yellow, black]) => {
                cmyk_row([cyan, magenta, yellow, black], pixels);
            }
            (Self::Ycck, [y, cb, cr, black]) => ycck_row([y, cb, cr, black], pixels),
            _ => {}
        }
    }
}

fn grey_row(grey: &[u8], pixels: &mut [u8]) {
    for (pixel, &grey) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(grey) {
        *pixel = [grey; 3];
    }
}

fn rgb_row([red, green, blue]: [&[u8]; 3], pixels: &mut [u8]) {
    let colours = red.iter().zip(green).zip(blue);
    for (pixel, ((&r, &g), &b)) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(colours) {
        *pixel = [b, g, r];
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn ycc_row([y, cb, cr]: [&[u8]; 3], pixels: &mut [u8]) {
    let colours = y.iter().zip(cb).zip(cr);
    for (pixel, ((&y, &cb), &cr)) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(colours) {
        *pixel = bgr(y, cb, cr);
    }
}

fn cmyk_row([cyan, magenta, yellow, black]: [&[u8]; 4], pixels: &mut [u8]) {
    let inks = cyan.iter().zip(magenta).zip(yellow).zip(black);
    for (pixel, (((&c, &m), &y), &k)) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(inks) {
        *pixel = [y, m, c].map(|ink| darkened(ink, k));
    }
}

fn ycck_row([y, cb, cr, black]: [&[u8]; 4], pixels: &mut [u8]) {
    let colours = y.iter().zip(cb).zip(cr).zip(black);
    for (pixel, (((&y, &cb), &cr), &k)) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(colours) {
        *pixel = bgr(y, cb, cr).map(|left_out| darkened(255 - left_out, k));
    }
}

/// A colour under black ink; files hold inks the other way round.
fn darkened(ink: u8, black: u8) -> u8 {
    let (ink, black) = (i32::from(ink), i32::from(black));
    (black - (((255 - ink) * black) >> 8)) as u8
}

/// Blue, green and red of a brightness and two differences; factors of 16 bits.
#[inline(always)]
fn bgr(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((cr * 91_881 + HALF) >> 16);
    let green = y + ((cb * -22_554 - cr * 46_802 + HALF) >> 16);
    let blue = y + ((cb * 116_130 + HALF) >> 16);
    [blue, green, red].map(|value| value.clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_marks_and_then_the_names() {
        let colours = |ids: &[u8], is_jfif, adobe| {
            let mut header = vec![8, 0, 9, 0, 9, ids.len() as u8];
            header.extend(ids.iter().flat_map(|&id| [id, 0x11, 0]));
            Colours::of(&Frame::read(&header, false).unwrap(), is_jfif, adobe)
        };
        assert_eq!(colours(b"R", true, None), Colours::Grey);
        assert_eq!(colours(b"RGB", false, None), Colours::Rgb);
        assert_eq!(colours(b"RGB", true, Some(0)), Colours::YCbCr);
        assert_eq!(colours(b"\x01\x02\x03", false, Some(0)), Colours::Rgb);
        assert_eq!(colours(b"RGB", false, Some(1)), Colours::YCbCr);
        assert_eq!(colours(b"abc", false, None), Colours::YCbCr);
        assert_eq!(colours(b"abcd", true, None), Colours::Cmyk);
        assert_eq!(colours(b"abcd", true, Some(0)), Colours::Cmyk);
        assert_eq!(colours(b"abcd", true, Some(2)), Colours::Ycck);
    }

    #[test]
    fn pixels_are_blue_green_red() {
        let mut pixels = [0; 6];
        Colours::YCbCr.convert_row(&[&[76, 200], &[85, 128], &[255, 128]], &mut pixels);
        assert_eq!(pixels, [0, 0, 254, 200, 200, 200]);
        Colours::Rgb.convert_row(&[&[1, 4], &[2, 5], &[3, 6]], &mut pixels);
        assert_eq!(pixels, [3, 2, 1, 6, 5, 4]);
        Colours::Grey.convert_row(&[&[7, 8]], &mut pixels);
        assert_eq!(pixels, [7, 7, 7, 8, 8, 8]);
        Colours::Cmyk.convert_row(&[&[255, 0], &[255, 0], &[0, 255], &[255, 255]], &mut pixels);
        assert_eq!(pixels, [1, 255, 255, 255, 1, 1]);
    }
}
