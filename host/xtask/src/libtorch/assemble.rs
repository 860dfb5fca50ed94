//! Puts a libtorch folder together from wheels, so that it is either whole or absent.
//!
//! Knows nothing of the repository that will use it.

use std::fs;
use std::path::{Path, PathBuf};

use super::cache::{Cache, CacheLock, remove};
use super::error::LibtorchError;
use super::installed::VERSION;
use super::pip::{Pip, Workplace, find_wheel};
use super::recipe::Recipe;
use super::stub::{Compiler, find_compiler, link_stub};
use super::{space, unpack};
use crate::environment::Environment;
use crate::interrupt::Interrupt;

/// One attempt to assemble a folder.
pub(crate) struct Assembly<'a> {
    pub(crate) recipe: &'a Recipe,
    pub(crate) cache: &'a Cache,
    pub(crate) environment: &'a Environment,
    pub(crate) interrupt: &'a Interrupt,
}

impl Assembly<'_> {
    /// Returns the assembled folder, making it if it is absent or if `force` asks for a new one.
    pub(crate) fn run(&self, force: bool) -> Result<PathBuf, LibtorchError> {
        let folder = self.cache.assembled(&self.recipe.folder_name);
        if !force && self.first_missing(&folder).is_none() {
            return Ok(folder);
        }
        // The short checks come before the long work.
        let compiler = find_compiler(self.environment)?;
        let lock = self.cache.lock(self.interrupt)?;
        self.rescue_downloads()?;
        self.cache.remove_leftovers(&lock)?;
        // Another process may have made it while this one waited.
        if !force && self.first_missing(&folder).is_none() {
            return Ok(folder);
        }
        let result = self.make(&folder, &compiler, &lock);
        if result.is_err() {
            self.tidy_up()?;
        }
        result.map(|()| folder)
    }

    fn make(
        &self,
        folder: &Path,
        compiler: &Compiler,
        lock: &CacheLock,
    ) -> Result<(), LibtorchError> {
        self.check_space()?;
        let wheels = self.fetch(lock)?;
        let draft = self.cache.draft();
        for (wheel, path) in self.recipe.wheels.iter().zip(&wheels) {
            unpack::unpack(wheel, path, &draft, self.interrupt)?;
        }
        link_stub(compiler, &draft)?;
        let version_file = draft.join("build-version");
        fs::write(&version_file, format!("{VERSION}+cpu\n"))
            .map_err(LibtorchError::io("write it", &version_file))?;
        if let Some(missing) = self.first_missing(&draft) {
            return Err(LibtorchError::Incomplete { folder: draft, missing });
        }
        sync(&draft);
        self.put_in_place(&draft, folder)?;
        remove(&self.cache.wheels())?;
        remove(&self.cache.downloading())
    }

    /// The first file that a whole folder would have.
    fn first_missing(&self, folder: &Path) -> Option<String> {
        let libraries = self.recipe.library_names().chain(["libtorch.so"]);
        libraries
            .map(|name| format!("lib/{name}"))
            .chain(["include/torch".to_owned(), "build-version".to_owned()])
            .find(|name| !folder.join(name).exists())
    }

    fn check_space(&self) -> Result<(), LibtorchError> {
        let wheels = self.cache.wheels();
        let missing =
            self.recipe.wheels.iter().filter(|wheel| find_wheel(&wheels, wheel).is_none());
        let needed = space::needed_bytes(&self.recipe.wheels, missing);
        space::check(self.cache.root(), needed, space::free_bytes(self.cache.root()))
    }

    /// Returns the path of each wheel, downloading those that are not there.
    fn fetch(&self, lock: &CacheLock) -> Result<Vec<PathBuf>, LibtorchError> {
        let wheels = self.cache.wheels();
        fs::create_dir_all(&wheels).map_err(LibtorchError::io("make this folder", &wheels))?;
        let downloading = self.cache.downloading();
        let place = Workplace { folder: &downloading, lock, interrupt: self.interrupt };
        let mut pip = None;
        let mut paths = Vec::new();
        for wheel in &self.recipe.wheels {
            if let Some(path) = find_wheel(&wheels, wheel) {
                eprintln!("libtorch: {} is already here", wheel.requirement);
                paths.push(path);
                continue;
            }
            let pip: &Pip = match &mut pip {
                Some(pip) => pip,
                // Only now: a machine with all wheels needs no pip.
                none => none.insert(Pip::find(self.environment)?),
            };
            let downloaded = pip.download(wheel, &place)?;
            paths.push(keep(&downloaded, &wheels)?);
        }
        Ok(paths)
    }

    /// Keeps the wheels that a pip finished after its parent was killed.
    fn rescue_downloads(&self) -> Result<(), LibtorchError> {
        let out = self.cache.downloading().join("out");
        for wheel in &self.recipe.wheels {
            let Some(path) = find_wheel(&out, wheel) else { continue };
            if unpack::is_whole(&path) {
                let wheels = self.cache.wheels();
                fs::create_dir_all(&wheels)
                    .map_err(LibtorchError::io("make this folder", &wheels))?;
                keep(&path, &wheels)?;
            }
        }
        Ok(())
    }

    fn put_in_place(&self, draft: &Path, folder: &Path) -> Result<(), LibtorchError> {
        let replaced = self.cache.replaced();
        if folder.exists() {
            fs::rename(folder, &replaced).map_err(LibtorchError::io("move it away", folder))?;
        }
        fs::rename(draft, folder).map_err(LibtorchError::io("give it its name", draft))?;
        remove(&replaced)
    }

    fn tidy_up(&self) -> Result<(), LibtorchError> {
        remove(&self.cache.draft())?;
        remove(&self.cache.downloading())
    }
}

fn keep(wheel: &Path, wheels: &Path) -> Result<PathBuf, LibtorchError> {
    let kept = wheels.join(wheel.file_name().unwrap_or_default());
    fs::rename(wheel, &kept).map_err(LibtorchError::io("move it to the whole wheels", wheel))?;
    Ok(kept)
}

/// Has the files written to disk before the rename: after a power cut the name must not be there
/// with empty files behind it.
fn sync(folder: &Path) {
    // Where it fails, nothing is worse than without it.
    #[cfg(target_os = "linux")]
    if let Ok(handle) = fs::File::open(folder) {
        let _ = rustix::fs::syncfs(handle);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = folder;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_program;
    use crate::libtorch::recipe::Wheel;
    use std::io::Write;

    /// A cache, a PATH with a fake pip and a fake compiler, and the wheels that the pip hands out.
    struct Scene {
        root: tempfile::TempDir,
    }

    const COMPILER: &str = "#!/bin/sh\n: > libtorch.so\n";

    /// Copies the wheel of the asked package into --dest and notes the request.
    const GOOD_PIP: &str = r#"#!/bin/sh
[ "$1" = --version ] && { echo pip 99; exit 0; }
while [ $# -gt 1 ]; do [ "$1" = --dest ] && dest=$2; shift; done
echo "$1" >> "$ROOT/requests"
name=${1%%==*}
"#;

    impl Scene {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("bin")).unwrap();
            fs::create_dir(root.path().join("store")).unwrap();
            fake_program::write(&root.path().join("bin"), "c++", COMPILER);
            let scene = Self { root };
            scene.store("alpha", &[("a/lib/liba.so", "first library"), ("a/junk.py", "no")]);
            scene.store(
                "beta",
                &[("b/lib/libb.so", "second library"), ("b/include/torch/b.h", "h")],
            );
            scene
        }

        fn path(&self, name: &str) -> PathBuf {
            self.root.path().join(name)
        }

        fn store(&self, name: &str, members: &[(&str, &str)]) {
            let file = fs::File::create(self.path(&format!("store/{name}.whl"))).unwrap();
            let mut writer = zip::ZipWriter::new(file);
            for (member, text) in members {
                let options = zip::write::SimpleFileOptions::default()
                    .compression_method(zip::CompressionMethod::Stored);
                writer.start_file(*member, options).unwrap();
                writer.write_all(text.as_bytes()).unwrap();
            }
            writer.finish().unwrap();
        }

        fn pip(&self, ending: &str) {
            let script = GOOD_PIP.replace("$ROOT", self.root.path().to_str().unwrap())
                + &ending.replace("$ROOT", self.root.path().to_str().unwrap());
            fake_program::write(&self.path("bin"), "pip", &script);
        }

        fn good_pip(&self) {
            self.pip("cp \"$ROOT/store/$name.whl\" \"$dest/$name-1-any_here.whl\"\n");
        }

        fn recipe(&self) -> Recipe {
            let wheel = |name: &str, library, headers| Wheel {
                requirement: format!("{name}==1"),
                file_prefix: format!("{name}-1-"),
                arch: "here".to_owned(),
                platform: "any_here".to_owned(),
                download_bytes: 100,
                unpacked_bytes: 100,
                libraries: vec![library],
                headers,
            };
            Recipe {
                folder_name: "libtorch-test".to_owned(),
                wheels: vec![
                    wheel("alpha", "a/lib/liba.so", None),
                    wheel("beta", "b/lib/libb.so", Some("b/include/")),
                ],
            }
        }

        fn assemble(&self, force: bool) -> Result<PathBuf, LibtorchError> {
            self.assemble_until(force, &Interrupt::default())
        }

        fn assemble_until(
            &self,
            force: bool,
            interrupt: &Interrupt,
        ) -> Result<PathBuf, LibtorchError> {
            // Nothing else on PATH: the real pip must not be found.
            let (path, cache) = (self.path("bin"), self.path("cache"));
            let environment = Environment::of([
                ("PATH", path.to_str().unwrap()),
                ("SNAPHOOK_CACHE", cache.to_str().unwrap()),
            ]);
            Assembly {
                recipe: &self.recipe(),
                cache: &Cache::locate(&environment).unwrap(),
                environment: &environment,
                interrupt,
            }
            .run(force)
        }

        fn requests(&self) -> String {
            fs::read_to_string(self.path("requests")).unwrap_or_default()
        }

        fn cache_names(&self) -> Vec<String> {
            let mut names: Vec<String> = fs::read_dir(self.path("cache"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        }
    }

    #[test]
    fn wheels_become_one_whole_folder_and_nothing_else_stays() {
        let scene = Scene::new();
        scene.good_pip();
        let folder = scene.assemble(false).unwrap();
        let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(text("lib/liba.so"), "first library");
        assert_eq!(text("include/torch/b.h"), "h");
        assert_eq!(text("build-version"), "2.11.0+cpu\n");
        assert!(!folder.join("junk.py").exists());
        assert_eq!(scene.cache_names(), ["libtorch-test", "lock"]);
    }

    #[test]
    fn a_whole_folder_is_used_without_pip_or_compiler() {
        let scene = Scene::new();
        scene.good_pip();
        let first = scene.assemble(false).unwrap();
        fs::remove_dir_all(scene.path("bin")).unwrap();
        assert_eq!(scene.assemble(false).unwrap(), first);
    }

    #[test]
    fn force_makes_the_folder_anew() {
        let scene = Scene::new();
        scene.good_pip();
        let folder = scene.assemble(false).unwrap();
        fs::write(folder.join("lib/liba.so"), "spoilt").unwrap();
        scene.assemble(true).unwrap();
        assert_eq!(fs::read_to_string(folder.join("lib/liba.so")).unwrap(), "first library");
        assert_eq!(scene.cache_names(), ["libtorch-test", "lock"]);
    }

    #[test]
    fn a_failed_download_keeps_whole_wheels_and_the_next_run_asks_for_the_rest() {
        let scene = Scene::new();
        scene.pip(
            "[ $name = beta ] && { echo 'ERROR: Connection broken' >&2; exit 1; }\n\
             cp \"$ROOT/store/$name.whl\" \"$dest/$name-1-any_here.whl\"\n",
        );
        let error = scene.assemble(false).unwrap_err();
        assert!(matches!(error, LibtorchError::Network { .. }), "{error}");
        assert_eq!(scene.cache_names(), ["lock", "wheels"]);
        scene.good_pip();
        scene.assemble(false).unwrap();
        assert_eq!(scene.requests(), "alpha==1\nbeta==1\nbeta==1\n");
    }

    #[test]
    fn half_a_wheel_of_a_killed_pip_is_never_used() {
        let scene = Scene::new();
        scene.pip(
            "head -c 40 \"$ROOT/store/$name.whl\" > \"$dest/$name-1-any_here.whl\"\nkill -9 $$\n",
        );
        let error = scene.assemble(false).unwrap_err();
        assert!(error.to_string().contains("signal: 9"), "{error}");
        scene.good_pip();
        let folder = scene.assemble(false).unwrap();
        assert_eq!(fs::read_to_string(folder.join("lib/liba.so")).unwrap(), "first library");
        assert_eq!(scene.requests(), "alpha==1\nalpha==1\nbeta==1\n");
    }

    #[test]
    fn an_interrupted_download_ends_pip_and_leaves_no_draft() {
        let scene = Scene::new();
        scene.pip("sleep 60\n");
        let interrupt = Interrupt::default();
        interrupt.ask();
        let error = scene.assemble_until(false, &interrupt).unwrap_err();
        assert!(matches!(error, LibtorchError::Interrupted), "{error}");
        assert_eq!(scene.cache_names(), ["lock", "wheels"]);
        // Would wait for the sleep, which holds the lock, if it were still there.
        scene.good_pip();
        scene.assemble(false).unwrap();
    }

    #[test]
    fn leftovers_of_a_killed_run_are_sorted_into_whole_and_half() {
        let scene = Scene::new();
        scene.good_pip();
        let out = scene.path("cache/.downloading/out");
        fs::create_dir_all(&out).unwrap();
        fs::create_dir_all(scene.path("cache/.assembling-1/lib")).unwrap();
        fs::copy(scene.path("store/alpha.whl"), out.join("alpha-1-any_here.whl")).unwrap();
        fs::write(out.join("beta-1-any_here.whl"), "PK cut off").unwrap();
        scene.assemble(false).unwrap();
        assert_eq!(scene.requests(), "beta==1\n");
        assert_eq!(scene.cache_names(), ["libtorch-test", "lock"]);
    }

    #[test]
    fn a_folder_that_lost_a_file_is_made_again() {
        let scene = Scene::new();
        scene.good_pip();
        let folder = scene.assemble(false).unwrap();
        fs::remove_file(folder.join("lib/libb.so")).unwrap();
        scene.assemble(false).unwrap();
        assert!(folder.join("lib/libb.so").exists());
    }

    #[test]
    fn a_damaged_wheel_is_removed_so_that_the_next_run_fetches_it() {
        let scene = Scene::new();
        scene.good_pip();
        let good = fs::read(scene.path("store/alpha.whl")).unwrap();
        let mut bad = good.clone();
        let at = bad.windows(5).position(|window| window == b"first").unwrap();
        bad[at] = b'F';
        fs::write(scene.path("store/alpha.whl"), &bad).unwrap();
        let error = scene.assemble(false).unwrap_err();
        assert!(matches!(error, LibtorchError::DamagedWheel { .. }), "{error}");
        fs::write(scene.path("store/alpha.whl"), &good).unwrap();
        scene.assemble(false).unwrap();
    }

    #[test]
    fn a_wheel_without_the_library_is_reported_and_no_folder_appears() {
        let scene = Scene::new();
        scene.store("alpha", &[("a/lib/renamed.so", "")]);
        scene.good_pip();
        let error = scene.assemble(false).unwrap_err();
        assert!(error.to_string().contains("lib/liba.so"), "{error}");
        assert_eq!(scene.cache_names(), ["lock", "wheels"]);
    }

    #[test]
    fn without_a_compiler_nothing_is_fetched() {
        let scene = Scene::new();
        scene.good_pip();
        let environment = Environment::of([
            ("PATH", scene.path("nothing").to_str().unwrap()),
            ("SNAPHOOK_CACHE", scene.path("cache").to_str().unwrap()),
        ]);
        let error = Assembly {
            recipe: &scene.recipe(),
            cache: &Cache::locate(&environment).unwrap(),
            environment: &environment,
            interrupt: &Interrupt::default(),
        }
        .run(false)
        .unwrap_err();
        assert!(matches!(error, LibtorchError::NoCompiler { .. }), "{error}");
        assert_eq!(scene.requests(), "");
    }
}
