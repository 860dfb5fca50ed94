//! Pixel operations against arrays that OpenCV made (`golden/make_golden.py`).
//! Knows nothing of why they are as they are.

use serde::Deserialize;
use snaphook_data::Image;
use snaphook_data::image::{
    Affine, Interpolation, bgr_to_hsv, hsv_to_bgr, resize, resize_by, warp_affine,
};

#[derive(Deserialize)]
struct Picture {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Picture {
    fn image(&self) -> Image {
        Image::new(self.width, self.height, self.data.clone()).expect("a whole golden picture")
    }
}

#[derive(Deserialize)]
struct Golden {
    source: Picture,
    resize: Vec<Resized>,
    even: Picture,
    ways: Vec<Way>,
    warp: Vec<Warped>,
    hsv: Picture,
    back: Picture,
}

#[derive(Deserialize)]
struct Resized {
    size: [usize; 2],
    image: Picture,
}

#[derive(Deserialize)]
struct Way {
    name: String,
    size: [usize; 2],
    image: Picture,
}

#[derive(Deserialize)]
struct Warped {
    map: [[f64; 3]; 2],
    image: Picture,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/pixels.json")).expect("golden pixels")
}

/// The largest difference of a byte, and the mean difference.
fn difference(ours: &Image, theirs: &Picture) -> (u8, f64) {
    assert_eq!((ours.width(), ours.height()), (theirs.width, theirs.height));
    let pairs = ours.data().iter().zip(&theirs.data);
    let all: Vec<u8> = pairs.map(|(a, b)| a.abs_diff(*b)).collect();
    let mean = all.iter().map(|d| f64::from(*d)).sum::<f64>() / all.len() as f64;
    (all.into_iter().max().unwrap_or(0), mean)
}

#[test]
fn resize_is_within_one_level_of_opencv() {
    let golden = golden();
    let source = golden.source.image();
    for case in &golden.resize {
        let (worst, mean) = difference(&resize(&source, case.size[0], case.size[1]), &case.image);
        assert!(worst <= 1 && mean < 0.2, "{:?}: {worst} {mean}", case.size);
    }
}

#[test]
fn other_ways_to_resize_equal_those_of_opencv() {
    let golden = golden();
    let source = golden.even.image();
    assert_eq!(golden.ways.len(), 20);
    for Way { name, size, image } in &golden.ways {
        let ours = resize_by(&source, size[0], size[1], Interpolation::named(name));
        let (worst, mean) = difference(&ours, image);
        // OpenCV's vector code sums these two as floats.
        let (most, most_mean) = match name.as_str() {
            "bicubic" | "lanczos" => (1, 0.05),
            _ => (0, 0.0),
        };
        assert!(worst <= most && mean <= most_mean, "{name} {size:?}: {worst} {mean}");
    }
}

#[test]
fn warp_is_close_to_opencv() {
    // Both round positions to 1/32 pixel, but not from the same digits: a steep edge may differ by 1/32.
    let golden = golden();
    let source = golden.source.image();
    for case in &golden.warp {
        let size = (case.image.width, case.image.height);
        let ours = warp_affine(&source, &Affine(case.map), size, [114, 113, 112]);
        let (worst, mean) = difference(&ours, &case.image);
        assert!(worst <= 8 && mean < 0.5, "{:?}: {worst} {mean}", case.map);
    }
}

#[test]
fn hsv_equals_opencv() {
    let golden = golden();
    let mut image = golden.source.image();
    bgr_to_hsv(&mut image);
    assert_eq!(difference(&image, &golden.hsv).0, 0);
    hsv_to_bgr(&mut image);
    assert!(difference(&image, &golden.back).0 <= 1);
}
