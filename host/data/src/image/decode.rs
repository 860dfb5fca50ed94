//! From the bytes of a JPEG or PNG file (of others: [`formats`]) to a picture, as `cv2.imread` gives it.
//! Knows nothing of data sets; each error names the file.
//!
//! Source: OpenCV `imread` with IMREAD_COLOR: three channels, alpha dropped, EXIF orientation applied. Pixels are the
//! same to the byte. We differ in one point: a file that is damaged or ends before its picture does is an error, where
//! OpenCV fills the rest with grey.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use super::{Image, exif, formats, jpeg};
use crate::DataError;
use crate::stage_time::{Stage, timed};

/// What is done about the orientation that a camera noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Orientation {
    /// The picture is turned upright, as OpenCV's IMREAD_COLOR does.
    #[default]
    Applied,
    /// The pixels stay as they are stored, as with IMREAD_IGNORE_ORIENTATION.
    Ignored,
}

/// Reads and decodes the picture in a file, and turns it upright.
///
/// Errors: [`DataError::ReadImage`] for a file that is absent or unreadable, [`DataError::DecodeImage`]
/// for one that is not a regular file or not a whole picture.
pub fn read_image(path: &Path) -> Result<Image, DataError> {
    read_image_as(path, Orientation::Applied)
}

/// [`read_image`] with a choice about the orientation.
///
/// Errors: as there.
pub fn read_image_as(path: &Path, orientation: Orientation) -> Result<Image, DataError> {
    let bytes = timed(Stage::Reading, || read_file(path))?;
    timed(Stage::Decoding, || decode_image_as(&bytes, path, orientation))
}

/// The bytes of a picture's file.
fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    let failed = |source| DataError::ReadImage { path: path.to_owned(), source };
    // Asked before it is opened: to open a pipe waits for a writer, for ever if there is none.
    let kind = fs::metadata(path).map_err(failed)?.file_type();
    if !kind.is_file() {
        let found = if kind.is_dir() { "a folder" } else { "a pipe, socket or device" };
        let reason = format!("expected a regular file, found {found}");
        return Err(DataError::DecodeImage { path: path.to_owned(), reason });
    }
    fs::read(path).map_err(failed)
}

/// Decodes the bytes of a picture's file; `path` is only for the error.
pub fn decode_image(bytes: &[u8], path: &Path) -> Result<Image, DataError> {
    decode_image_as(bytes, path, Orientation::Applied)
}

fn decode_image_as(
    bytes: &[u8],
    path: &Path,
    orientation: Orientation,
) -> Result<Image, DataError> {
    let decoded = match bytes {
        [] => Err("the file is empty".to_owned()),
        [0xFF, 0xD8, 0xFF, ..] => decode_jpeg(bytes),
        [0x89, b'P', b'N', b'G', ..] => decode_png(bytes),
        _ => formats::decode(bytes).unwrap_or_else(|| Err(unknown(bytes))),
    };
    let upright = |(image, noted)| match orientation {
        Orientation::Applied => exif::upright(image, noted),
        Orientation::Ignored => image,
    };
    decoded.map(upright).map_err(|reason| DataError::DecodeImage { path: path.to_owned(), reason })
}

fn unknown(bytes: &[u8]) -> String {
    format!("expected a JPEG, PNG, BMP, WebP or TIFF file, found {}", describe(bytes))
}

fn describe(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(16)];
    match std::str::from_utf8(start) {
        Ok(text) if !text.contains('\0') => format!("text that begins {text:?}"),
        _ => format!("bytes {:02x?}", &start[..start.len().min(4)]),
    }
}

/// The picture as it is stored, and its orientation.
type Stored = (Image, u16);

fn decode_jpeg(bytes: &[u8]) -> Result<Stored, String> {
    let decoded = jpeg::decode(bytes).map_err(|e| e.to_string())?;
    Ok((decoded.image, decoded.exif.map_or(1, exif::orientation)))
}

fn decode_png(bytes: &[u8]) -> Result<Stored, String> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let broken = |e: png::DecodingError| format!("not a whole PNG: {e}");
    let mut reader = decoder.read_info().map_err(broken)?;
    let size = reader.output_buffer_size().ok_or("the PNG is too large for the memory")?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(broken)?;
    pixels.truncate(frame.buffer_size());
    let orientation =
        reader.info().exif_metadata.as_ref().map_or(1, |block| exif::orientation(block));
    let bgr = png_to_bgr(&pixels, frame.color_type);
    let image = Image::new(frame.width as usize, frame.height as usize, bgr)
        .ok_or("the PNG has too few pixels")?;
    Ok((image, orientation))
}

fn png_to_bgr(pixels: &[u8], colour: png::ColorType) -> Vec<u8> {
    match colour.samples() {
        1 => pixels.iter().flat_map(|&p| [p; 3]).collect(),
        2 => pixels.chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        n => pixels.chunks_exact(n).flat_map(|p| [p[2], p[1], p[0]]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::FlipDirection;

    fn gradient() -> Image {
        let data = (0..32 * 24).flat_map(|i| [(i % 32 * 8) as u8, (i / 32 * 10) as u8, 90]);
        Image::new(32, 24, data.collect()).unwrap()
    }

    fn reason(bytes: &[u8]) -> String {
        decode_image(bytes, Path::new("a/b.jpg")).unwrap_err().to_string()
    }

    #[test]
    fn png_round_trip_is_exact() {
        let bytes = gradient().to_png().unwrap();
        assert_eq!(decode_image(&bytes, Path::new("x.png")).unwrap(), gradient());
    }

    #[test]
    fn jpeg_round_trip_is_close() {
        let bytes = gradient().to_jpeg(95).unwrap();
        let back = decode_image(&bytes, Path::new("x.jpg")).unwrap();
        let worst =
            back.data().iter().zip(gradient().data()).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= 12, "{worst}");
    }

    #[test]
    fn every_truncation_of_a_jpeg_is_an_error_that_names_the_file() {
        let bytes = gradient().to_jpeg(90).unwrap();
        for length in [0, 1, 3, 20, bytes.len() / 2, bytes.len() - 4] {
            assert!(reason(&bytes[..length]).contains("a/b.jpg"), "{length}");
        }
        assert!(reason(&bytes[..bytes.len() - 4]).contains("truncated"));
    }

    #[test]
    fn a_jpeg_without_its_end_mark_is_whole() {
        let bytes = gradient().to_jpeg(90).unwrap();
        let whole = decode_image(&bytes, Path::new("x.jpg")).unwrap();
        assert_eq!(decode_image(&bytes[..bytes.len() - 2], Path::new("x.jpg")).unwrap(), whole);
    }

    #[test]
    fn the_end_mark_of_a_thumbnail_is_not_that_of_the_picture() {
        let mut bytes = gradient().to_jpeg(90).unwrap();
        bytes.splice(2..2, *b"\xff\xe1\0\x06\xff\xd9\xff\xd9");
        assert!(decode_image(&bytes, Path::new("x.jpg")).is_ok());
        assert!(reason(&bytes[..bytes.len() - 4]).contains("truncated"));
    }

    #[test]
    fn every_truncation_of_a_png_is_an_error() {
        let bytes = gradient().to_png().unwrap();
        for length in 0..bytes.len() - 12 {
            assert!(decode_image(&bytes[..length], Path::new("x.png")).is_err(), "{length}");
        }
    }

    #[test]
    fn a_text_file_named_jpg_is_described() {
        assert_eq!(
            reason(b"hello, I am not a picture"),
            "image a/b.jpg: expected a JPEG, PNG, BMP, WebP or TIFF file, found text that begins \"hello, I am not \""
        );
    }

    #[test]
    fn an_absent_file_is_named() {
        let error = read_image(Path::new("no/such.jpg")).unwrap_err();
        assert_eq!(error.to_string(), "image no/such.jpg: cannot be read");
        assert!(error.is_bad_image());
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_or_folder_named_jpg_is_an_error_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe.jpg");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let error = read_image(&pipe).unwrap_err();
        assert!(
            error.to_string().ends_with("expected a regular file, found a pipe, socket or device")
        );
        assert!(error.is_bad_image());
        assert!(read_image(folder.path()).unwrap_err().to_string().ends_with("found a folder"));
    }

    #[test]
    fn orientation_of_a_jpeg_is_applied() {
        let mut bytes = gradient().to_jpeg(95).unwrap();
        let mut segment = b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0".to_vec();
        segment[3] = (segment.len() - 2) as u8;
        bytes.splice(2..2, segment);
        let mut expected = decode_image(&gradient().to_jpeg(95).unwrap(), Path::new("x")).unwrap();
        expected.flip(FlipDirection::Diagonal);
        assert_eq!(decode_image(&bytes, Path::new("x.jpg")).unwrap(), expected);
    }
}
