//! Any bytes as a `.so` file: reading it ends with a plugin or a reason, in bounded time and memory, and what is shown
//! of it has no control characters. Bytes that are no ELF file are read as a manifest, so that the fuzzer need not keep
//! an ELF file whole to get at it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use snaphook_loader::{Manifest, Plugin};
use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::sync::OnceLock;

/// A file in memory where there is one, so that a million inputs wear out no disk.
fn scratch() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let shared_memory = PathBuf::from("/dev/shm");
        let folder = if shared_memory.is_dir() { shared_memory } else { std::env::temp_dir() };
        folder.join(format!("snaphook-fuzz-{}.so", std::process::id()))
    })
}

fn shown_is_plain(manifest: &Manifest) {
    let text = manifest.json.to_string();
    assert!(!text.contains("\\u00"), "a control character is left in {text}");
    assert!(manifest.types.len() <= 64);
    let _ = manifest.obstacle();
}

fuzz_target!(|bytes: &[u8]| {
    if !bytes.starts_with(b"\x7fELF") {
        match Manifest::parse(bytes) {
            Ok(manifest) => shown_is_plain(&manifest),
            Err(reason) => assert!(!reason.is_empty() && !reason.contains(char::is_control)),
        }
        return;
    }
    let mut file = File::create(scratch()).expect("a scratch file");
    file.write_all(bytes).and_then(|()| file.rewind()).expect("room for it");
    drop(file);
    match Plugin::read(scratch()) {
        Ok(plugin) => {
            shown_is_plain(&plugin.manifest);
            let _ = plugin.obstacle();
        }
        Err(reason) => assert!(reason.contains('(') || reason.contains("manifest"), "{reason}"),
    }
});
