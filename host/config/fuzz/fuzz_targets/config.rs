//! Any text is a config or an error, soon and in little memory; what loads is written in every format
//! and loads to the same values again.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use snaphook_config::{Config, LoadOptions, Resolver};

/// An empty folder, so that no base is ever found.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join("snaphook-config-fuzz");
    std::fs::create_dir_all(&folder).expect("the system's folder for temporary files is writable");
    folder.canonicalize().expect("the folder was made")
});

fuzz_target!(|text: &str| {
    let resolver = Resolver::new(LoadOptions::default()).roots(vec![FOLDER.clone()]);
    for name in ["a.py", "a.json", "a.yaml", "a.toml"] {
        let Ok(config) = resolver.load_text(&FOLDER.join(name), text) else { continue };
        // A value that looks like a placeholder is one again when it is read.
        if !config.to_json_pretty().contains("\\u007b{") {
            for (name, text) in written(&config) {
                let again = resolver.load_text(&FOLDER.join(name), &text);
                // Reading costs other steps than computing did, so a bound may be met now.
                if let Ok(again) = again {
                    assert_eq!(again.value(), config.value(), "{name}:\n{text}");
                }
            }
        }
    }
    let overrides: Vec<String> = text.lines().take(8).map(str::to_owned).collect();
    let resolver = Resolver::new(LoadOptions { overrides, ..Default::default() });
    let _ = resolver.load_text(Path::new("a.py"), "a = dict(b=[1, dict(c=2)])");
});

fn written(config: &Config) -> [(&'static str, String); 3] {
    [("b.py", config.to_python()), ("b.yaml", config.to_yaml()), ("b.toml", config.to_toml())]
}
