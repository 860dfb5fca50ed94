//! Which wheels libtorch is made of, and which of their files are kept.
//!
//! Knows nothing of pip or of the file system. A CPU build needs five libraries (more on aarch64)
//! out of 5 GB of wheels; the CUDA run-time and CUPTI are among them because `libtorch_cpu.so`
//! of PyPI's wheel is linked to both.

use std::path::{Component, Path, PathBuf};

use super::error::LibtorchError;
use super::installed::VERSION;

/// All that is needed to assemble a libtorch folder for one platform.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    /// The name of the assembled folder in the cache.
    pub(crate) folder_name: String,
    pub(crate) wheels: Vec<Wheel>,
}

/// One wheel and what is taken from it.
#[derive(Debug, Clone)]
pub(crate) struct Wheel {
    /// What pip is asked for.
    pub(crate) requirement: String,
    /// How the file name begins, to know a wheel that is already there.
    pub(crate) file_prefix: String,
    /// The machine, as wheel names spell it.
    pub(crate) arch: String,
    /// The platform tag that pip is asked for.
    pub(crate) platform: String,
    /// About how large the wheel is.
    pub(crate) download_bytes: u64,
    /// About how much of it is kept.
    pub(crate) unpacked_bytes: u64,
    /// Paths of the kept libraries inside the wheel.
    pub(crate) libraries: Vec<&'static str>,
    /// The folder of headers inside the wheel.
    pub(crate) headers: Option<&'static str>,
}

const COMMON_LIBRARIES: [&str; 3] =
    ["torch/lib/libtorch_cpu.so", "torch/lib/libc10.so", "torch/lib/libgomp.so.1"];

/// What `libtorch_cpu.so` of the aarch64 wheel needs besides, from `readelf -d` of 2.11.0.
const AARCH64_LIBRARIES: [&str; 7] = [
    "torch/lib/libarm_compute.so",
    "torch/lib/libarm_compute_graph.so",
    "torch/lib/libgfortran.so.5",
    "torch/lib/libnvpl_blas_core.so.0",
    "torch/lib/libnvpl_blas_lp64_gomp.so.0",
    "torch/lib/libnvpl_lapack_core.so.0",
    "torch/lib/libnvpl_lapack_lp64_gomp.so.0",
];

impl Recipe {
    /// The recipe for the machine that this program was built for.
    pub(crate) fn for_this_machine() -> Result<Self, LibtorchError> {
        let libc = if cfg!(target_env = "gnu") { "gnu" } else { "another libc" };
        Self::for_machine(std::env::consts::OS, std::env::consts::ARCH, libc)
    }

    fn for_machine(os: &str, arch: &str, libc: &str) -> Result<Self, LibtorchError> {
        match (os, arch, libc) {
            ("linux", "x86_64", "gnu") => Ok(Self::new(arch, &[], 531_000_000, 492_000_000)),
            ("linux", "aarch64", "gnu") => {
                Ok(Self::new(arch, &AARCH64_LIBRARIES, 420_000_000, 332_000_000))
            }
            _ => Err(LibtorchError::Platform { found: format!("{os} on {arch} with {libc}") }),
        }
    }

    fn new(arch: &str, more: &[&'static str], download_bytes: u64, unpacked_bytes: u64) -> Self {
        let torch = Wheel {
            requirement: format!("torch=={VERSION}"),
            file_prefix: format!("torch-{VERSION}-"),
            arch: arch.to_owned(),
            platform: format!("manylinux_2_28_{arch}"),
            download_bytes,
            unpacked_bytes,
            libraries: COMMON_LIBRARIES.iter().chain(more).copied().collect(),
            headers: Some("torch/include/"),
        };
        let runtime = Wheel {
            requirement: "nvidia-cuda-runtime==13.0.*".to_owned(),
            file_prefix: "nvidia_cuda_runtime-13.0.".to_owned(),
            arch: arch.to_owned(),
            platform: format!("manylinux2014_{arch}"),
            download_bytes: 2_300_000,
            unpacked_bytes: 700_000,
            libraries: vec!["nvidia/cu13/lib/libcudart.so.13"],
            headers: None,
        };
        let cupti = Wheel {
            requirement: "nvidia-cuda-cupti==13.0.*".to_owned(),
            file_prefix: "nvidia_cuda_cupti-13.0.".to_owned(),
            arch: arch.to_owned(),
            platform: format!("manylinux_2_25_{arch}"),
            download_bytes: 11_000_000,
            unpacked_bytes: 4_200_000,
            libraries: vec!["nvidia/cu13/lib/libcupti.so.13"],
            headers: None,
        };
        // The large one last: a machine that cannot download at all says so after a second.
        Self {
            folder_name: format!("libtorch-{VERSION}-cpu-{arch}"),
            wheels: vec![runtime, cupti, torch],
        }
    }

    /// Every library that the assembled folder must have in `lib`.
    pub(crate) fn library_names(&self) -> impl Iterator<Item = &'static str> {
        self.wheels.iter().flat_map(|wheel| &wheel.libraries).map(|path| file_name(path))
    }
}

impl Wheel {
    /// Whether a file of this name is this wheel for the same machine.
    pub(crate) fn is_file(&self, name: &str) -> bool {
        name.starts_with(&self.file_prefix) && name.ends_with(&format!("_{}.whl", self.arch))
    }

    /// Where a member of the wheel goes in the assembled folder; `None` for what is not kept.
    pub(crate) fn destination(&self, member: &str) -> Option<PathBuf> {
        if self.libraries.contains(&member) {
            return Some(Path::new("lib").join(file_name(member)));
        }
        let header = Path::new(member.strip_prefix(self.headers?)?);
        let is_inside = header.components().all(|part| matches!(part, Component::Normal(_)));
        let is_file = !member.ends_with('/') && header.file_name().is_some();
        (is_inside && is_file).then(|| Path::new("include").join(header))
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        Recipe::for_machine("linux", "x86_64", "gnu").unwrap()
    }

    #[test]
    fn each_machine_asks_for_its_own_wheels() {
        let tags = |arch| -> Vec<String> {
            let recipe = Recipe::for_machine("linux", arch, "gnu").unwrap();
            recipe.wheels.into_iter().map(|wheel| wheel.platform).collect()
        };
        assert_eq!(
            tags("x86_64"),
            ["manylinux2014_x86_64", "manylinux_2_25_x86_64", "manylinux_2_28_x86_64"]
        );
        assert_eq!(tags("aarch64")[2], "manylinux_2_28_aarch64");
    }

    #[test]
    fn another_platform_is_told_about_libtorch() {
        for machine in [("macos", "aarch64", "another libc"), ("linux", "x86_64", "another libc")] {
            let error = Recipe::for_machine(machine.0, machine.1, machine.2).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(machine.0) && text.contains("set LIBTORCH"), "{text}");
        }
    }

    #[test]
    fn only_headers_and_named_libraries_are_kept() {
        let torch = recipe().wheels.pop().unwrap();
        let kept = |member| torch.destination(member).map(|path| path.display().to_string());
        assert_eq!(kept("torch/lib/libc10.so").as_deref(), Some("lib/libc10.so"));
        assert_eq!(kept("torch/include/ATen/ATen.h").as_deref(), Some("include/ATen/ATen.h"));
        assert_eq!(kept("torch/include/"), None);
        assert_eq!(kept("torch/include/ATen/"), None);
        assert_eq!(kept("torch/lib/libtorch_cuda.so"), None);
        assert_eq!(kept("torch/version.py"), None);
    }

    #[test]
    fn a_member_that_climbs_out_is_not_kept() {
        let torch = recipe().wheels.pop().unwrap();
        assert_eq!(torch.destination("torch/include/../../evil.h"), None);
        assert_eq!(torch.destination("torch/include//etc/evil.h"), None);
    }

    #[test]
    fn a_wheel_of_another_machine_or_version_is_another_wheel() {
        let recipe = recipe();
        let torch = &recipe.wheels[2];
        assert!(torch.is_file("torch-2.11.0-cp312-cp312-manylinux_2_28_x86_64.whl"));
        assert!(!torch.is_file("torch-2.11.0-cp312-cp312-manylinux_2_28_aarch64.whl"));
        assert!(!torch.is_file("torch-2.11.1-cp312-cp312-manylinux_2_28_x86_64.whl"));
        assert!(recipe.wheels[0].is_file(
            "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
        ));
    }
}
