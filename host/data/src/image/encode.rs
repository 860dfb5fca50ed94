//! From a picture to a PNG or JPEG file.
//! Knows nothing of what is in the picture.

use std::fs;
use std::path::Path;

use super::Image;
use crate::DataError;

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
