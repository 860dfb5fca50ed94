//! Files that are no plugins, or plugins that somebody damaged: each is refused with a reason and a way out, none crashes
//! the host or makes it wait. Knows nothing of hooks.

use crate::c_compiler::{compile, manifest_folder};
use snaphook_loader::{Catalog, LoadError, Plugin, Resolved, SearchPath, load};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A good plugin, 16 kB, as bytes.
fn good() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libcounter.so");
        compile(&manifest_folder().join("tests/fixtures/counter.c"), &library, &[]);
        std::fs::read(library).unwrap()
    })
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, bytes: &[u8]) -> Result<Plugin, String> {
        let path = self.path("libx.so");
        std::fs::write(&path, bytes).unwrap();
        Plugin::read(&path)
    }

    fn catalog(&self) -> Catalog {
        let search_path = SearchPath::builder().without_environment().command_line([self.0.path()]);
        Catalog::discover(&search_path.build())
    }

    /// The reason for which the only file of the folder is refused.
    #[track_caller]
    fn reason(&self) -> String {
        let catalog = self.catalog();
        assert_eq!(catalog.plugins().count(), 0);
        assert_eq!(catalog.refused().len(), 1, "{:?}", catalog.refused());
        catalog.refused()[0].reason.clone()
    }

    fn compile(&self, name: &str, c: &str, more: &[&str]) -> PathBuf {
        let (source, library) = (self.path("source.c"), self.path(name));
        std::fs::write(&source, c).unwrap();
        compile(&source, &library, more);
        library
    }
}

fn number(bytes: &[u8], at: usize, length: usize) -> usize {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Where headers, tables, segments and sections begin and end.
fn boundaries(file: &[u8]) -> Vec<usize> {
    let (programs, sections) = (number(file, 32, 8), number(file, 40, 8));
    let (program_count, section_count) = (number(file, 56, 2), number(file, 60, 2));
    let mut found =
        vec![0, 4, 16, 64, programs + 56 * program_count, sections + 64 * section_count];
    for at in (0..program_count).map(|index| programs + 56 * index) {
        found.extend([
            at,
            number(file, at + 8, 8),
            number(file, at + 8, 8) + number(file, at + 32, 8),
        ]);
    }
    for at in (0..section_count).map(|index| sections + 64 * index) {
        found.extend([
            at,
            number(file, at + 24, 8),
            number(file, at + 24, 8) + number(file, at + 32, 8),
        ]);
    }
    found
}

#[test]
fn file_cut_off_at_any_boundary_is_refused_or_whole_where_it_counts() {
    let (folder, whole) = (Folder::new(), good());
    for boundary in boundaries(whole) {
        for length in [boundary.saturating_sub(1), boundary, boundary + 1] {
            let part = &whole[..length.min(whole.len())];
            let read = folder.read(part);
            assert_eq!(
                read.is_ok(),
                part.len() == whole.len(),
                "cut at {length}: {:?}",
                read.err()
            );
        }
    }
}

/// Numbers that look random and are the same in every run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

#[test]
fn ten_thousand_damaged_files_never_panic_the_reader() {
    let (folder, mut numbers) = (Folder::new(), Numbers(0x5eed));
    let (mut refused, values) = (0, [0, 1, 0x7f, 0x80, 0xfe, 0xff]);
    for _ in 0..10_000 {
        let mut file = good().to_vec();
        for _ in 0..=numbers.next(8) {
            // Half of the damage goes to the headers, notes and tables at the beginning.
            let end = if numbers.next(2) == 0 { 0x800 } else { file.len() };
            let at = numbers.next(end);
            file[at] = values[numbers.next(values.len())];
        }
        let read = folder.read(&file).and_then(|plugin| plugin.obstacle().map_or(Ok(()), Err));
        if let Err(reason) = read {
            assert!(!reason.is_empty() && !reason.contains(char::is_control), "{reason:?}");
            refused += 1;
        }
    }
    assert!((1_000..10_000).contains(&refused), "{refused} of 10000 were refused");
}

#[test]
fn files_of_other_kinds_are_refused_with_reason_and_remedy() {
    let changed = |at: usize, value: u8| {
        let mut file = good().to_vec();
        file[at] = value;
        file
    };
    let cases: [(&str, Vec<u8>, &[&str]); 6] = [
        ("empty", Vec::new(), &["empty file", "(build or copy it again)"]),
        (
            "text",
            b"no library\n".to_vec(),
            &["another kind of file", "(remove it from this folder)"],
        ),
        ("32-bit", changed(4, 1), &["64-bit", "(rebuild it for"]),
        ("big-endian", changed(5, 2), &["little-endian", "(rebuild it for"]),
        ("RISC-V", changed(18, 243), &["found machine 243", "(rebuild it for"]),
        ("program", changed(16, 2), &["another ELF type", "(crate-type must be cdylib)"]),
    ];
    for (what, bytes, parts) in cases {
        let folder = Folder::new();
        std::fs::write(folder.path("libx.so"), bytes).unwrap();
        let reason = folder.reason();
        assert!(parts.iter().all(|part| reason.contains(part)), "{what}: {reason}");
    }
}

#[test]
fn what_is_not_a_file_is_refused_without_waiting() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("libfolder.so")).unwrap();
    assert!(folder.reason().contains("expected a regular file"));
    let folder = Folder::new();
    let made =
        std::process::Command::new("mkfifo").arg(folder.path("libpipe.so")).status().unwrap();
    assert!(made.success());
    assert!(folder.reason().contains("expected a regular file"));
}

#[test]
fn file_of_enormous_size_is_refused_at_once() {
    let folder = Folder::new();
    std::fs::write(folder.path("libx.so"), good()).unwrap();
    let file = std::fs::File::options().write(true).open(folder.path("libx.so")).unwrap();
    if file.set_len(1 << 40).is_err() {
        println!("no such file can be made here: not run");
        return;
    }
    assert!(folder.reason().contains("a file of more than 4 GiB"), "{}", folder.reason());
}

#[test]
fn shared_library_that_is_no_plugin_is_refused() {
    let folder = Folder::new();
    folder.compile("libc_only.so", "int answer(void) { return 42; }", &[]);
    assert!(folder.reason().contains("has no manifest"), "{}", folder.reason());
}

fn with_manifest(manifest: &str) -> String {
    format!("#include \"snaphook_plugin.h\"\nSNAPHOOK_MANIFEST({manifest});\n")
}

#[test]
fn control_characters_of_a_manifest_reach_nobody() {
    let folder = Folder::new();
    let manifest = r#"{"manifest_version": 1, "api": {"built": "1.0", "min": "1.0"},
        "plugin": {"name": "x", "description": "a\u001b[2Jb\u009b"}, "types": []}"#;
    let path = folder.compile("libx.so", &with_manifest(manifest), &[]);
    let plugin = Plugin::read(&path).unwrap();
    assert_eq!(plugin.manifest.plugin.description, "a [2Jb ");
    assert!(!plugin.manifest.json.to_string().contains("\\u001b"));
}

#[test]
fn manifest_of_a_wrong_form_or_size_is_refused() {
    for (manifest, part) in [
        ("{\"manifest_version\": 2}", "expected version 1, found 2"),
        ("[1, 2", "expected JSON"),
        ("{\"a\": 1, \"a\": 2}", "comes twice"),
    ] {
        let folder = Folder::new();
        folder.compile("libx.so", &with_manifest(manifest), &[]);
        assert!(folder.reason().contains(part), "{}", folder.reason());
    }
    let folder = Folder::new();
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(70_000));
    // C99 promises strings of 4095 bytes only; compilers take more.
    folder.compile("libx.so", &with_manifest(&long), &["-Wno-overlength-strings"]);
    assert!(folder.reason().contains("more than 64 KiB"), "{}", folder.reason());
}

/// The good plugin with all of one text replaced by another of the same length.
fn replaced(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let (mut file, mut at) = (good().to_vec(), 0);
    while let Some(found) =
        file[at..].windows(from.len()).position(|window| window == from.as_bytes())
    {
        at += found;
        file[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    file
}

#[test]
fn need_of_a_newer_glibc_is_refused_before_it_is_opened_with_a_recipe() {
    let folder = Folder::new();
    std::fs::write(folder.path("libx.so"), replaced("GLIBC_2.2.5", "GLIBC_2.995")).unwrap();
    let reason = folder.reason();
    assert!(reason.starts_with("needs glibc 2.995, this system has 2."), "{reason}");
    assert!(reason.contains("cargo zigbuild --release --target"), "{reason}");
}

#[test]
fn need_of_a_newer_contract_is_refused_before_it_is_opened() {
    let folder = Folder::new();
    let newer = replaced("\"min\": \"1.0\"", "\"min\": \"1.7\"");
    std::fs::write(folder.path("libx.so"), newer).unwrap();
    let expected = "built for plugin-api 1.7, this host offers 1.0 (update snaphook, or rebuild";
    assert!(folder.reason().starts_with(expected), "{}", folder.reason());
}

#[test]
fn plugin_that_links_libtorch_is_refused_before_it_is_opened() {
    let folder = Folder::new();
    let stub = Folder::new();
    stub.compile(
        "libtorch_cpu.so",
        "int stub(void) { return 0; }",
        &["-Wl,-soname,libtorch_cpu.so"],
    );
    let source =
        std::fs::read_to_string(manifest_folder().join("tests/fixtures/counter.c")).unwrap();
    let library = stub.path("libtorch_cpu.so");
    folder.compile("libx.so", &source, &["-Wl,--no-as-needed", library.to_str().unwrap()]);
    let reason = folder.reason();
    assert!(reason.contains("links libtorch_cpu.so and does not say of which version"), "{reason}");
}

#[track_caller]
fn load_error(folder: &Folder) -> LoadError {
    let catalog = folder.catalog();
    let Ok(Resolved::Plugin(found)) = catalog.resolve("CounterHook", &[]) else {
        panic!("{:?}", catalog.refused())
    };
    load(&found).err().unwrap()
}

#[test]
fn missing_symbol_is_named_when_the_plugin_is_loaded_not_when_it_runs() {
    let folder = Folder::new();
    let source =
        std::fs::read_to_string(manifest_folder().join("tests/fixtures/counter.c")).unwrap();
    let source = format!(
        "{source}\nextern int no_such_function(void);\nint used(void) {{ return no_such_function(); }}\n"
    );
    folder.compile("libx.so", &source, &[]);
    let text = load_error(&folder).to_string();
    assert!(text.contains("undefined symbol: no_such_function"), "{text}");
    assert!(text.contains("(rebuild the plugin with the library that has this symbol)"), "{text}");
}

#[test]
fn plugin_without_whole_entry_points_is_refused() {
    let source =
        std::fs::read_to_string(manifest_folder().join("tests/fixtures/counter.c")).unwrap();
    for (from, to, part) in [
        (
            "start, set_log_level, construct_hook, extension",
            "start, NULL, construct_hook, extension",
            "lacks a function",
        ),
        (
            "const snaphook_plugin snaphook_plugin_1",
            "const snaphook_plugin other_name",
            "has no symbol snaphook_plugin_1",
        ),
        ("SNAPHOOK_API_MAJOR, SNAPHOOK_API_MINOR,", "2, 0,", "built for plugin-api 2.0"),
    ] {
        let folder = Folder::new();
        let source = format!("{}\n", source.replace(from, to));
        folder.compile("libx.so", &source, &["-Wno-unused-function"]);
        let text = load_error(&folder).to_string();
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn plugin_that_does_not_start_says_why() {
    let folder = Folder::new();
    let source =
        std::fs::read_to_string(manifest_folder().join("tests/fixtures/counter.c")).unwrap();
    folder.compile(
        "libx.so",
        &source.replace("SNAPHOOK_TEXT(\"snaphook.log/1\")", "SNAPHOOK_TEXT(\"no.log/1\")"),
        &[],
    );
    let text = load_error(&folder).to_string();
    assert!(text.contains("did not start: expected a host that counts and logs"), "{text}");
}

#[test]
fn listing_and_inspecting_run_no_code_of_a_plugin() {
    let folder = Folder::new();
    let trace: &Path = &folder.path("constructor-ran");
    let source =
        std::fs::read_to_string(manifest_folder().join("tests/fixtures/counter.c")).unwrap();
    let constructor = format!(
        "{source}\n__attribute__((constructor)) static void ran(void) {{ FILE *file = fopen({trace:?}, \"w\"); if (file) \
         fclose(file); }}\n"
    );
    let path = folder.compile("libx.so", &constructor, &[]);
    let catalog = folder.catalog();
    let Ok(Resolved::Plugin(found)) = catalog.resolve("CounterHook", &[]) else { panic!() };
    let _ = snaphook_loader::check_kwargs(&found, &serde_json::json!({ "mode": "count" }));
    let plugin = Plugin::read(&path).unwrap();
    assert!(plugin.build_id.as_ref().is_some_and(|id| id.len() >= 16), "{:?}", plugin.build_id);
    assert_eq!(plugin.sha256().unwrap().len(), 64);
    assert!(!trace.exists());
    load(&found).unwrap();
    assert!(trace.exists());
}
