//! Pictures of unusual kinds against what OpenCV reads of them (`golden/pictures/make_pictures.py`).
//! Knows nothing of data sets.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use snaphook_data::image::{Orientation, decode_image, read_image, read_image_as};

/// Height of a picture's place in `expected.png`.
const PLACE: usize = 32;

#[derive(Deserialize)]
struct Shown {
    name: String,
    width: usize,
    height: usize,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pictures")
}

#[test]
fn each_kind_is_read_as_opencv_reads_it() {
    let expected = read_image(&folder().join("expected.png")).expect("expected pictures");
    let all: Vec<Shown> =
        serde_json::from_str(include_str!("golden/pictures/expected.json")).expect("their sizes");
    let mut wrong = String::new();
    for (place, shown) in all.iter().enumerate() {
        let theirs = expected.cropped(0, place * PLACE, shown.width, shown.height);
        let ours = match read_image(&folder().join(&shown.name)) {
            Ok(image) => image,
            Err(error) => {
                wrong += &format!("{error}\n");
                continue;
            }
        };
        assert_eq!(ours.shape(), theirs.shape(), "{}", shown.name);
        let differences = ours.data().iter().zip(theirs.data()).map(|(a, b)| a.abs_diff(*b));
        let worst = differences.max().unwrap_or(0);
        if worst > 0 {
            wrong += &format!("{}: {worst} grey levels\n", shown.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_turned_picture_can_be_left_as_it_is_stored() {
    let path = folder().join("turned.jpg");
    let shape = |orientation| read_image_as(&path, orientation).expect("a picture").shape();
    assert_eq!(shape(Orientation::Applied), [32, 24]);
    assert_eq!(shape(Orientation::Ignored), [24, 32]);
}

#[test]
fn a_tiff_on_its_side_is_turned_upright_where_opencv_fails() {
    let bytes = std::fs::read(folder().join("mirrored.tif")).expect("a file");
    let tag = [18, 1, 3, 0, 1, 0, 0, 0, 2];
    let at = bytes.windows(9).position(|window| window == tag).expect("the orientation");
    let mut turned = bytes.clone();
    turned[at + 8] = 6;
    let image = decode_image(&turned, Path::new("turned.tif")).expect("a picture");
    assert_eq!(image.shape(), [31, 24]);
}

#[test]
fn kinds_that_are_not_read_are_named() {
    let mut lab = std::fs::read(folder().join("raw.tif")).expect("a file");
    let tag = [6, 1, 3, 0, 1, 0, 0, 0, 2];
    let at = lab.windows(9).position(|window| window == tag).expect("the kind of colours");
    lab[at + 8] = 8;
    let mut bits = std::fs::read(folder().join("plain.bmp")).expect("a file");
    bits[28] = 2;
    for (bytes, expected) in [
        (
            lab,
            "image a.x: not a TIFF that can be read: unsupported error: Photometric interpretation CIELab",
        ),
        (
            bits,
            "image a.x: expected a BMP of 1, 4, 8, 16, 24 or 32 bits, plain or with run lengths, found 2 bits",
        ),
    ] {
        let error = decode_image(&bytes, Path::new("a.x")).expect_err("an error").to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn every_kind_that_is_cut_off_is_an_error_with_its_name() {
    let cut = tempfile::tempdir().expect("a folder");
    let names = [
        "plain.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "sixteen_bits.png",
        "palette.png",
        "plain.bmp",
        "palette.bmp",
        "runs.bmp",
        "lossless.webp",
        "lossy.webp",
        "raw.tif",
        "tiff_lzw.tif",
        "fax.tif",
    ];
    for name in names {
        let bytes = std::fs::read(folder().join(name)).expect("a file");
        for share in [1, 3, 5, 7] {
            let path = cut.path().join(name);
            std::fs::write(&path, &bytes[..bytes.len() * share / 8]).expect("a file");
            let error = read_image(&path).expect_err("an error").to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
