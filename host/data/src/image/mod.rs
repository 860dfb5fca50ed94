//! Pictures: 8 bits, three channels, blue green red, as OpenCV holds them, and operations on their pixels.
//! Knows nothing of boxes or data sets.

mod bmp;
mod border;
mod decode;
mod distort;
mod draw;
mod encode;
mod exif;
mod formats;
mod hsv;
mod interpolate;
mod jpeg;
mod layout;
mod plane;
mod resize;
mod tiff;
mod warp;
mod webp;

pub use border::{Border, pad};
pub use decode::{Orientation, decode_image, read_image, read_image_as};
pub use distort::{Distortion, distort};
pub use draw::{Drawn, class_colours, draw_detections};
pub use encode::saved_name;
pub use hsv::{bgr_to_hsv, hsv_to_bgr, shift_hsv};
pub use interpolate::{Interpolation, resize_by};
pub use layout::{FlipDirection, Image};
pub use resize::{ResizedRows, Window, resize};
pub use warp::{Affine, warp_affine};
