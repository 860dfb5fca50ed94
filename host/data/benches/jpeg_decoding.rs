//! Milliseconds that a JPEG takes: our decoder beside zune-jpeg's, on one core.
//! Knows nothing of data sets.
//!
//! `cargo bench -p snaphook-data --bench jpeg_decoding -- FOLDER` takes the `.jpg` files of a folder, at most 50;
//! without an argument pictures of 640 x 480 drawn for it.

use std::path::Path;
use std::time::Instant;

use snaphook_data::Image;
use snaphook_data::image::decode_image;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

const PICTURES: usize = 50;
const ROUNDS: usize = 15;

type Failure = Box<dyn std::error::Error>;

fn ours(bytes: &[u8]) -> Result<usize, Failure> {
    Ok(decode_image(bytes, Path::new("a picture"))?.data().len())
}

fn zune(bytes: &[u8]) -> Result<usize, Failure> {
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::BGR);
    Ok(JpegDecoder::new_with_options(ZCursor::new(bytes), options).decode()?.len())
}

/// Waves of several lengths: neither flat nor noise.
fn drawn(number: usize) -> Result<Vec<u8>, Failure> {
    let (width, height) = (640, 480);
    let mut image = Image::filled(width, height, [0; 3]);
    for y in 0..height {
        for x in 0..width {
            let wave = |a: usize, b: usize| ((x * a + y * b + number * 37) as f32 / 40.0).sin();
            let value =
                |k: usize| 128.0 + 60.0 * wave(k, 3) + 30.0 * wave(11, 7 + k) + 20.0 * wave(37, 23);
            image.set_pixel(x as i64, y as i64, [value(1), value(2), value(5)].map(|v| v as u8));
        }
    }
    Ok(image.to_jpeg(85)?)
}

fn files(folder: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder)?.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "jpg"));
    paths.sort();
    Ok(paths.iter().take(PICTURES).map(std::fs::read).collect::<Result<_, _>>()?)
}

fn main() -> Result<(), Failure> {
    let argument = std::env::args().skip(1).find(|a| !a.starts_with("--"));
    let files = match argument {
        Some(folder) => files(&folder)?,
        None => (0..8).map(drawn).collect::<Result<_, _>>()?,
    };
    let mut pixels = 0;
    for file in &files {
        pixels += ours(file)? / 3;
    }
    // The least of several rounds, by turns: what a shared machine disturbs the least.
    let mut least = [f64::MAX; 2];
    for _ in 0..ROUNDS {
        for (least, decode) in least.iter_mut().zip([ours, zune]) {
            let start = Instant::now();
            for file in &files {
                std::hint::black_box(decode(file)?);
            }
            *least = least.min(start.elapsed().as_secs_f64());
        }
    }
    let [ours, zune] = least.map(|seconds| seconds * 1e3 / files.len() as f64);
    println!(
        "{} pictures of {:.2} megapixels on average: {ours:.2} ms each, zune-jpeg {zune:.2} ms, {:.2} times as fast",
        files.len(),
        pixels as f64 / 1e6 / files.len() as f64,
        zune / ours
    );
    Ok(())
}
