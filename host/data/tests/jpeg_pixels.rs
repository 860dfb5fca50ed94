//! JPEG files of all samplings and kinds against what OpenCV reads of them, to the byte, and the same files damaged
//! (`golden/jpeg/make_jpegs.py`).
//! Knows nothing of data sets.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use snaphook_data::image::{decode_image, read_image};

#[derive(Deserialize)]
struct Shown {
    name: String,
    width: usize,
    height: usize,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/jpeg")
}

fn all() -> Vec<Shown> {
    serde_json::from_str(include_str!("golden/jpeg/expected.json")).expect("their sizes")
}

fn bytes_of(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).expect("a file")
}

#[test]
fn every_pixel_is_opencvs() {
    let expected = read_image(&folder().join("expected.png")).expect("expected pictures");
    let (mut top, mut wrong) = (0, String::new());
    for Shown { name, width, height } in all() {
        let theirs = expected.cropped(0, top, width, height);
        top += height;
        match read_image(&folder().join(&name)) {
            Ok(ours) if ours == theirs => {}
            Ok(ours) => {
                let pairs = ours.data().iter().zip(theirs.data());
                let count = pairs.filter(|(a, b)| a != b).count();
                wrong += &format!("{name}: {count} values, {:?}\n", ours.shape());
            }
            Err(error) => wrong += &format!("{error}\n"),
        }
    }
    assert_eq!(top, expected.height());
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_file_that_is_cut_off_is_an_error_until_its_data_are_whole() {
    for Shown { name, .. } in all() {
        let bytes = bytes_of(&name);
        let path = Path::new(&name);
        let whole = decode_image(&bytes, path).expect("a picture");
        for length in 0..bytes.len() {
            let mut cut = bytes[..length].to_vec();
            for _ in 0..2 {
                match decode_image(&cut, path) {
                    Ok(image) => {
                        assert!(image == whole && length + 2 >= bytes.len(), "{name} {length}")
                    }
                    Err(error) => assert!(error.to_string().contains(&name)),
                }
                // An end mark does not make it whole.
                cut.extend(b"\xff\xd9");
            }
        }
    }
}

#[test]
fn what_follows_the_end_is_left_alone() {
    for Shown { name, .. } in all() {
        let mut bytes = bytes_of(&name);
        let whole = decode_image(&bytes, Path::new(&name)).expect("a picture");
        bytes.extend(b"\0\xff\xd8\xff\xda rest");
        assert!(decode_image(&bytes, Path::new(&name)).expect("a picture") == whole);
    }
}

#[test]
fn damaged_files_are_pictures_or_errors() {
    for Shown { name, .. } in all() {
        let mut bytes = bytes_of(&name);
        for place in 2..bytes.len() {
            for flip in [0x01, 0x10, 0x80, 0xFF] {
                bytes[place] ^= flip;
                if let Ok(image) = decode_image(&bytes, Path::new(&name)) {
                    assert_eq!(image.data().len(), image.width() * image.height() * 3);
                }
                bytes[place] ^= flip;
            }
        }
    }
}

#[test]
fn a_size_that_the_data_cannot_fill_costs_nothing() {
    let mut bytes = bytes_of("420_35x50.jpg");
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).expect("a frame header");
    bytes[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xDC, 0xFF, 0xDC]);
    let error = decode_image(&bytes, Path::new("huge.jpg")).expect_err("an error").to_string();
    assert!(error.contains("huge.jpg") && error.contains("truncated"), "{error}");
}
