//! What can go wrong while libtorch is prepared, each with the way out.

use std::io;
use std::path::{Path, PathBuf};

use super::VERSION;

/// Why there is no usable libtorch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LibtorchError {
    #[error(
        "libtorch: expected Linux with glibc on x86_64 or aarch64, found {found} (set LIBTORCH to \
         a folder with libtorch {VERSION} for this machine)"
    )]
    Platform { found: String },

    #[error(
        "python3: expected a program on PATH, found none (install python3 and pip, or set LIBTORCH \
         to a folder with libtorch {VERSION})"
    )]
    NoPython,

    #[error(
        "pip: expected `python3 -m pip`, `pip3` or `pip` to run, found none (install it, for \
         example with `apt install python3-pip` or `python3 -m ensurepip --user`, or set LIBTORCH \
         to a folder with libtorch {VERSION})"
    )]
    NoPip,

    #[error(
        "C++ compiler: expected {tried}, found none (install one, for example with `apt install \
         g++`, or name yours with CXX)"
    )]
    NoCompiler { tried: String },

    #[error(
        "{}: expected {needed_mb} MB of free disk space, found {free_mb} MB (free some, or set \
         SNAPHOOK_CACHE to a folder on a larger disk)", folder.display()
    )]
    Space { folder: PathBuf, needed_mb: u64, free_mb: u64 },

    #[error(
        "{requirement}: expected space for it in {}, found that the disk filled up meanwhile (free \
         some, or set SNAPHOOK_CACHE to a folder on a larger disk)", folder.display()
    )]
    DiskFilled { requirement: String, folder: PathBuf },

    #[error(
        "cache folder: expected SNAPHOOK_CACHE, XDG_CACHE_HOME or HOME to be set, found none (set \
         SNAPHOOK_CACHE to a folder with 2 GB of space)"
    )]
    NoCacheFolder,

    #[error(
        "{requirement}: expected it from PyPI, found no working connection (check the network and \
         the proxy settings, then run this again: whole downloads are kept; or set LIBTORCH to a \
         folder with libtorch {VERSION})\n{tail}"
    )]
    Network { requirement: String, tail: String },

    #[error(
        "{requirement}: expected a wheel for {platform}, found none where pip looks (if pip uses \
         an index of your own, add the package there; or set LIBTORCH to a folder with libtorch \
         {VERSION})\n{tail}"
    )]
    NotOffered { requirement: String, platform: String, tail: String },

    #[error(
        "{requirement}: expected pip to download it, found {status} (see the lines below, then run \
         this again: whole downloads are kept)\n{tail}"
    )]
    PipFailed { requirement: String, status: String, tail: String },

    #[error(
        "{requirement}: expected one wheel from pip, found none in {} (run this again; if it \
         stays, update pip)", folder.display()
    )]
    NoWheel { requirement: String, folder: PathBuf },

    #[error("{}: expected a whole wheel, found a damaged one (it was removed; run this again to fetch it anew)", wheel.display())]
    DamagedWheel { wheel: PathBuf, source: zip::result::ZipError },

    #[error(
        "{}: expected {missing} in the assembled folder, found nothing (report this: the wheel \
         changed its layout)", folder.display()
    )]
    Incomplete { folder: PathBuf, missing: String },

    #[error(
        "libtorch.so: expected {compiler} to link it, found {status} (see its lines below)\n{tail}"
    )]
    Stub { compiler: String, status: String, tail: String },

    #[error(
        "{how}: expected libtorch {VERSION}, found {found} (point it to {VERSION}, or unset it and \
         run `cargo xtask libtorch`; LIBTORCH_BYPASS_VERSION_CHECK=1 skips this check)"
    )]
    Version { how: String, found: String },

    #[error(
        "{how}: expected a libtorch folder with {missing}, found none (point it to libtorch \
         {VERSION}, or unset it and run `cargo xtask libtorch`)"
    )]
    NotLibtorch { how: String, missing: String },

    #[error(
        "LIBTORCH_USE_PYTORCH: expected `{python}` to import torch {VERSION}, found that it cannot \
         (install it with `{python} -m pip install torch=={VERSION}`, or unset \
         LIBTORCH_USE_PYTORCH)\n{tail}"
    )]
    NoPyTorch { python: String, tail: String },

    #[error("{}: expected a link that set-up may replace, found a file or folder (move it away)", path.display())]
    LinkInTheWay { path: PathBuf },

    #[error("interrupted while libtorch was prepared (run this again: whole downloads are kept)")]
    Interrupted,

    #[error("{}: cannot {doing}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

impl LibtorchError {
    /// Names what was being done to which path; a full disk gets its own words.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| {
            if source.kind() == io::ErrorKind::StorageFull {
                return Self::Space { folder: path, needed_mb: 1600, free_mb: 0 };
            }
            Self::Io { doing, path, source }
        }
    }
}
