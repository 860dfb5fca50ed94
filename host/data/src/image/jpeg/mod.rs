//! JPEG files, decoded to the very pixels that libjpeg-turbo gives, and so OpenCV.
//! Knows nothing of files, EXIF or data sets, and trusts no byte.
//!
//! ```text
//! segments (markers) ─► headers ─► scans: entropy ─► bits ─► huffman ─► sequential | progressive ─► coefficients
//!                                                   coefficients ─► idct ─► planes ─► upsample ─► colour ─► BGR
//! ```
//!
//! Source: ITU-T T.81 for the format. Where it leaves a choice (how the inverse transform rounds, how halved colours
//! are blown up, which colours three components are) the choice is libjpeg-turbo's at its default settings.

mod bits;
mod coefficients;
mod colour;
mod entropy;
mod error;
mod file;
mod frame;
mod huffman;
mod idct;
mod picture;
mod progressive;
mod scan;
mod segments;
mod sequential;
mod standard_tables;
mod tables;
mod upsample;

pub(super) use error::JpegError;
pub(super) use file::decode;
