//! The hash that PyTorch's files carry in their names: `resnet50-0676ba61.pth`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::WeightsError;

/// Hashes in names have eight digits; shorter runs are words and dates.
const LEAST_DIGITS: usize = 8;

/// The begin of the SHA-256 that a file's name promises.
pub(crate) fn promised(name: &str) -> Option<&str> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let (_, hash) = stem.rsplit_once('-')?;
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (hash.len() >= LEAST_DIGITS && hash.bytes().all(is_digit)).then_some(hash)
}

/// Compares a file with what `name` promises; one without a promise is taken as it is.
///
/// Errors: another file; one that cannot be read.
pub(crate) fn check(path: &Path, name: &str) -> Result<(), WeightsError> {
    let Some(expected) = promised(name) else { return Ok(()) };
    let found =
        sha256(path).map_err(|source| WeightsError::Io { path: path.to_owned(), source })?;
    if found.starts_with(expected) {
        return Ok(());
    }
    let expected = expected.to_owned();
    Err(WeightsError::Checksum { path: path.to_owned(), expected, found })
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut part = vec![0_u8; 1 << 20];
    loop {
        match file.read(&mut part)? {
            0 => break,
            read => hash.update(&part[..read]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::promised;

    #[test]
    fn only_hashes_are_promises() {
        assert_eq!(promised("resnet50-0676ba61.pth"), Some("0676ba61"));
        assert_eq!(promised("yolox_tiny_20211124_171234-b4047906.pth"), Some("b4047906"));
        assert_eq!(promised("resnext50-32x4d.pth"), None);
        assert_eq!(promised("model-abc.pth"), None);
        assert_eq!(promised("faster_rcnn_r50_fpn.pth"), None);
    }
}
