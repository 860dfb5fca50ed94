//! `snaphook plugins new`: writes a crate with a hook, its test, a config and a few pictures, which builds and runs at
//! once. Knows nothing of training.

use std::path::{Path, PathBuf};

use snaphook_data::shapes::ShapesOptions;

use crate::args::PluginsNewArguments;
use crate::{CliError, Exit, output};

/// The files of a crate, with the words that stand for its names.
const FILES: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("template/package.txt")),
    ("src/lib.rs", include_str!("template/hook.txt")),
    ("config.py", include_str!("template/config.py")),
    ("README.md", include_str!("template/readme.txt")),
    (".gitignore", "/target\n/work_dirs\n"),
];

/// Enough for an epoch in a second.
const PICTURES: ShapesOptions = ShapesOptions { train: 8, val: 4, size: 64, seed: 0 };

/// A manifest takes no longer name.
const LONGEST_NAME: usize = 64;

pub(in crate::commands) fn new(arguments: &PluginsNewArguments) -> Result<Exit, CliError> {
    let names = Names::of(&arguments.name)?;
    let folder = arguments.parent.clone().unwrap_or_default().join(&names.package);
    let failed = |path: &Path, problem: &dyn std::fmt::Display| {
        CliError::Plugin(format!("{}: cannot be written: {problem}", path.display()))
    };
    if std::fs::symlink_metadata(&folder).is_ok() {
        let text = "expected no such folder yet, found one (choose another name, or --parent)";
        return Err(CliError::Plugin(format!("{}: {text}", folder.display())));
    }
    let plugin_api = plugin_api(arguments.plugin_api.as_deref())?;
    std::fs::create_dir_all(folder.join("src")).map_err(|error| failed(&folder, &error))?;
    for (name, text) in FILES {
        let path = folder.join(name);
        let text = names.fill(text).replace("PLUGIN_API", &plugin_api);
        std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    PICTURES.draw_into(&folder.join("data")).map_err(|error| failed(&folder, &error))?;
    output::print(&format!(
        "Wrote {}: a hook {} with its test, a config and pictures to train on. Next:\n\n  cd {}\n  cargo test\n  cargo \
         build --release\n  snaphook train config.py\n",
        folder.display(),
        names.hook,
        folder.display()
    ))?;
    Ok(Exit::Done)
}

/// The names of a crate.
#[derive(Debug, PartialEq)]
struct Names {
    /// `loss-guard`.
    package: String,
    /// `loss_guard`.
    library: String,
    /// `LossGuardHook`.
    hook: String,
}

impl Names {
    fn of(name: &str) -> Result<Names, CliError> {
        let is_letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
        let words: Vec<&str> = name.split(['-', '_']).collect();
        let capital = |word: &&str| {
            let (first, rest) = word.split_at_checked(1).unwrap_or_default();
            first.to_ascii_uppercase() + rest
        };
        let stem: String = words.iter().filter(|word| **word != "hook").map(capital).collect();
        let is_good = name.starts_with(|letter: char| letter.is_ascii_lowercase())
            && name.len() <= LONGEST_NAME
            && !stem.is_empty()
            && words.iter().all(|word| !word.is_empty() && word.chars().all(is_letter));
        if !is_good {
            return Err(CliError::Plugin(format!(
                "plugin name '{name}': expected words of lower-case letters and digits with hyphens between, such as \
                 loss-guard, found something else"
            )));
        }
        Ok(Names {
            package: name.to_owned(),
            library: name.replace('-', "_"),
            hook: format!("{stem}Hook"),
        })
    }

    fn fill(&self, text: &str) -> String {
        let text = text.replace("HOOK", &self.hook).replace("LIBRARY", &self.library);
        text.replace("NAME", &self.package)
    }
}

/// What stands behind `snaphook-plugin-api =`: the folder that was named, that of the build that this program comes
/// from, or the released crate.
fn plugin_api(named: Option<&Path>) -> Result<String, CliError> {
    let is_there = |folder: &Path| folder.join("Cargo.toml").is_file();
    let by_path = |folder: PathBuf| {
        let folder = folder.canonicalize().unwrap_or(folder);
        format!("{{ path = {:?} }}", folder)
    };
    if let Some(folder) = named {
        return match is_there(folder) {
            true => Ok(by_path(folder.to_path_buf())),
            false => Err(CliError::Plugin(format!(
                "--plugin-api {}: expected the folder of the crate snaphook-plugin-api, found no Cargo.toml in it",
                folder.display()
            ))),
        };
    }
    let program = std::env::current_exe().unwrap_or_default();
    let mut nearby = program.ancestors().map(|folder| folder.join("plugin-api"));
    let nearby = nearby.find(|folder| is_there(folder));
    Ok(nearby.map_or_else(|| "\"1.0\"".to_owned(), by_path))
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn names_of_crate_library_and_hook_follow_from_one_word() {
        let names = Names::of("loss-guard").unwrap();
        assert_eq!(names.fill("NAME LIBRARY HOOK"), "loss-guard loss_guard LossGuardHook");
        assert_eq!(Names::of("my_crop2_hook").unwrap().hook, "MyCrop2Hook");
    }

    #[test]
    fn names_that_no_crate_can_have_are_refused() {
        for name in [
            "",
            "2fast",
            "Loss",
            "a--b",
            "-a",
            "a-",
            "../a",
            "a b",
            "hook",
            "\u{e9}a",
            &"a".repeat(65),
        ] {
            let error = Names::of(name).unwrap_err().to_string();
            assert!(error.contains("such as loss-guard"), "{error}");
        }
    }
}
