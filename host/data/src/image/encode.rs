//! From a picture to a PNG or JPEG file.
//! Knows nothing of what is in the picture.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::Image;
use crate::DataError;

/// A name under which [`Image::save`] writes what the name says: that of a picture which is neither JPEG nor PNG gets
/// another `.png` at its end.
pub fn saved_name(path: &Path) -> PathBuf {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if ["jpg", "jpeg", "png"].contains(&ending.as_str()) {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(".png");
    name.into()
}

impl Image {
    /// The bytes of a PNG file; the reason as text if it cannot be made.
    pub fn to_png(&self) -> Result<Vec<u8>, String> {
        let rgb: Vec<u8> = self.data().chunks_exact(3).flat_map(|p| [p[2], p[1], p[0]]).collect();
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width() as u32, self.height() as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
        writer.write_image_data(&rgb).map_err(|e| e.to_string())?;
        writer.finish().map_err(|e| e.to_string())?;
        Ok(bytes)
    }

    /// The bytes of a JPEG file; `quality` 1 to 100.
    pub fn to_jpeg(&self, quality: u8) -> Result<Vec<u8>, String> {
        let size = |n: usize| u16::try_from(n).map_err(|_| format!("{n} pixels are too many"));
        let (width, height) = (size(self.width())?, size(self.height())?);
        let mut bytes = Vec::new();
        jpeg_encoder::Encoder::new(&mut bytes, quality)
            .encode(self.data(), width, height, jpeg_encoder::ColorType::Bgr)
            .map_err(|e| e.to_string())?;
        Ok(bytes)
    }

    /// Writes a file: PNG if its name ends in `.png`, else JPEG of quality 92.
    ///
    /// Errors: [`DataError::WriteImage`].
    pub fn save(&self, path: &Path) -> Result<(), DataError> {
        let failed = |reason| DataError::WriteImage { path: path.to_owned(), reason };
        let is_png = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
        let bytes = if is_png { self.to_png() } else { self.to_jpeg(92) }.map_err(failed)?;
        fs::write(path, bytes).map_err(|e| failed(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_written() {
        let name = |path: &str| saved_name(Path::new(path)).display().to_string();
        assert_eq!(
            ["a/b.JPG", "b.png", "a/b.bmp", "b"].map(name),
            ["a/b.JPG", "b.png", "a/b.bmp.png", "b.png"]
        );
    }
}
