//! Why a plugin cannot be loaded into this host, known from its file alone: contract, panics, libraries, glibc. Knows
//! nothing of folders.

use crate::dynamic::{Dynamic, glibc_version};
use crate::manifest::Manifest;

/// The libtorch that this trainer is built with.
const LIBTORCH: &str = "2.11";
/// Beginnings of the names of libraries that exist once in a process, and are the host's.
const HOSTS_OWN: [&str; 9] = [
    "libtorch",
    "libc10",
    "libcaffe2",
    "libcudart",
    "libcublas",
    "libcudnn",
    "libnccl",
    "libcufft",
    "libcusolver",
];

/// Why the plugin cannot be loaded, with the way out, if it cannot.
pub(crate) fn obstacle(manifest: &Manifest, dynamic: &Dynamic) -> Option<String> {
    manifest
        .obstacle()
        .or_else(|| libtorch(manifest, &dynamic.needed))
        .or_else(|| glibc(dynamic.glibc, system_glibc()))
}

fn libtorch(manifest: &Manifest, needed: &[String]) -> Option<String> {
    let name = &manifest.plugin.name;
    let linked = needed.iter().find(|library| HOSTS_OWN.iter().any(|own| library.starts_with(own)));
    let declared = manifest.needs.libtorch.as_deref();
    match (linked, declared) {
        (_, Some(version))
            if version
                .strip_prefix(LIBTORCH)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) =>
        {
            None
        }
        (_, Some(version)) => Some(format!(
            "built with libtorch {version}, this host has {LIBTORCH} (rebuild {name} with libtorch {LIBTORCH})"
        )),
        (Some(library), None) => Some(format!(
            "links {library} and does not say of which version, this host has libtorch {LIBTORCH} (reach tensors through \
             the host's services, or link libtorch {LIBTORCH} and say so: needs_libtorch = \"{LIBTORCH}\")"
        )),
        (None, None) => None,
    }
}

fn glibc(needed: Option<(u32, u32)>, system: Option<(u32, u32)>) -> Option<String> {
    let (needed, system) = (needed?, system?);
    let (target, text) =
        (std::env::consts::ARCH, |(major, minor): (u32, u32)| format!("{major}.{minor}"));
    (needed > system).then(|| {
        let (needed, system) = (text(needed), text(system));
        format!(
            "needs glibc {needed}, this system has {system} (build it on a system as old as this one, or with `cargo \
             zigbuild --release --target {target}-unknown-linux-gnu.{system}`)"
        )
    })
}

#[cfg(target_env = "gnu")]
fn system_glibc() -> Option<(u32, u32)> {
    // SAFETY: glibc answers a text of its own that stays.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    glibc_version(version.to_str().ok()?)
}

#[cfg(not(target_env = "gnu"))]
fn system_glibc() -> Option<(u32, u32)> {
    None
}

#[cfg(test)]
mod tests {
    use super::{glibc, libtorch, system_glibc};
    use crate::manifest::Manifest;
    use serde_json::json;

    fn needing(libtorch: serde_json::Value) -> Manifest {
        let manifest = json!({
            "manifest_version": 1, "api": { "built": "1.0", "min": "1.0" },
            "plugin": { "name": "crops" }, "needs": { "libtorch": libtorch },
        });
        Manifest::parse(manifest.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn newer_glibc_is_refused_with_the_recipe() {
        let reason = glibc(Some((2, 99)), Some((2, 36))).unwrap();
        assert!(reason.starts_with("needs glibc 2.99, this system has 2.36 (build"), "{reason}");
        assert!(reason.contains("linux-gnu.2.36"), "{reason}");
        assert_eq!(glibc(Some((2, 36)), Some((2, 36))), None);
        assert!(!cfg!(target_env = "gnu") || system_glibc().is_some());
    }

    #[test]
    fn other_libtorch_is_refused_with_both_versions() {
        let linked = ["libc.so.6".to_owned(), "libtorch_cpu.so".to_owned()];
        let reason = libtorch(&needing(json!("2.0")), &linked).unwrap();
        assert!(reason.starts_with("built with libtorch 2.0, this host has 2.11"), "{reason}");
        let reason = libtorch(&needing(json!(null)), &linked).unwrap();
        assert!(reason.starts_with("links libtorch_cpu.so and does not say"), "{reason}");
        assert!(libtorch(&needing(json!(null)), &["libcudart.so.12".to_owned()]).is_some());
        assert_eq!(libtorch(&needing(json!("2.11.0")), &linked), None);
        assert!(libtorch(&needing(json!("2.110")), &linked).is_some());
        assert_eq!(libtorch(&needing(json!(null)), &linked[..1]), None);
    }
}
