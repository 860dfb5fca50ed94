//! A plugin in plain C, compiled with the system's C compiler, through the same loader and the same manifest. Knows
//! nothing of Rust plugins.

use crate::c_compiler::{compile, manifest_folder};
use serde_json::{Value as Json, json};
use snaphook_loader::{
    Catalog, Deadline, Plugin, PluginHook, PluginType, Resolved, SearchPath, Sighting, Watchdog,
    check_kwargs, install_last_words, load, take_crash_note,
};
use snaphook_plugin_api::host::HookInstance;
use snaphook_plugin_api::testing::FakeRunner;
use snaphook_plugin_api::{HookErrorKind, HookPoint, HookState};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

const ITERATION: HookPoint = HookPoint::AfterTrainIter;

/// The folder with the plugin, and the plugin's type.
fn counter() -> (&'static Path, PluginType) {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap().keep();
        let source = manifest_folder().join("tests/fixtures/counter.c");
        compile(&source, &folder.join("libcounter.so"), &[]);
        folder
    });
    let search_path = SearchPath::builder().without_environment().command_line([folder]).build();
    match Catalog::discover(&search_path).resolve("CounterHook", &[]) {
        Ok(Resolved::Plugin(found)) => (folder, found),
        other => panic!("{other:?}"),
    }
}

fn hook(kwargs: Json) -> PluginHook {
    load(&counter().1).unwrap().construct(&kwargs).unwrap()
}

#[test]
fn manifest_of_a_plugin_in_c_is_read_and_its_arguments_are_checked() {
    let (_, found) = counter();
    assert_eq!(found.info().points, [HookPoint::BeforeTrainIter, ITERATION]);
    assert_eq!(found.info().priority, Some(60));
    assert_eq!(found.plugin().manifest.plugin.version, "0.3.0");
    let wrong = check_kwargs(&found, &json!({ "mode": "cuont" })).unwrap_err();
    assert!(wrong[0].starts_with("CounterHook.mode: expected"), "{wrong:?}");
}

#[test]
fn hook_in_c_reads_the_run_and_writes_to_its_log() {
    let mut hook = hook(json!({}));
    let mut run = FakeRunner::new();
    run.set_progress(|progress| progress.iter = 41);
    for point in [HookPoint::BeforeTrainIter, ITERATION, ITERATION] {
        hook.call(point, Some(0), &mut run).unwrap();
    }
    assert!(run.logged().iter().any(|text| text.contains("call 2 at iteration 41")));
}

#[test]
fn state_of_a_hook_in_c_survives_a_resume() {
    let mut run = FakeRunner::new();
    let (mut first, mut second) = (hook(json!({})), hook(json!({})));
    (0..3).for_each(|_| first.call(ITERATION, None, &mut run).unwrap());
    let saved = first.save_state().unwrap().unwrap();
    assert_eq!(saved, HookState { version: 1, data: json!(3) });
    second.load_state(saved).unwrap();
    assert_eq!(second.save_state().unwrap().unwrap().data, json!(3));
    let refused = second.load_state(HookState { version: 2, data: json!(3) }).unwrap_err();
    assert_eq!(refused.message, "expected a count of version 1");
}

#[test]
fn error_of_a_hook_in_c_comes_back_with_its_kind() {
    let error =
        hook(json!({ "mode": "fail" })).call(ITERATION, None, &mut FakeRunner::new()).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (HookErrorKind::Fatal, "C has had enough"));
}

#[test]
fn hook_that_hangs_is_reported_while_it_hangs() {
    let (folder, _) = counter();
    let release = folder.join("release");
    // SAFETY: the hook below reads the variable, and hooks that do not hang do not.
    unsafe { std::env::set_var("COUNTER_RELEASE", &release) };
    let mut hook = hook(json!({ "mode": "hang" }));
    let mut run = FakeRunner::new();
    run.set_progress(|progress| progress.iter = 7);
    let (send, receive) = std::sync::mpsc::channel();
    let release_file = release.clone();
    let watchdog = Watchdog::start(
        Duration::from_millis(20),
        || (),
        move |seen| {
            let Sighting::Overrun(overrun) = seen else { return };
            let is_of_this = overrun.iteration == 7 && overrun.batch_idx == Some(3);
            if overrun.plugin != "counter-in-c" || !is_of_this {
                // Of another test of this process.
                return;
            }
            // The hook ends only after this report.
            std::fs::write(&release, "").unwrap();
            let _ = send.send(overrun);
        },
    );
    hook.call(ITERATION, Some(3), &mut run).unwrap();
    let overrun = receive.recv().unwrap();
    drop(watchdog.unwrap());
    std::fs::remove_file(&release_file).unwrap();
    deadline_of_a_hook_counts_more_than_the_watchdog_s(&release_file);
    assert_eq!(
        (overrun.plugin.as_str(), overrun.type_name.as_str()),
        ("counter-in-c", "CounterHook")
    );
    assert_eq!(
        (overrun.point, overrun.iteration, overrun.batch_idx),
        ("after_train_iter", 7, Some(3))
    );
    assert!(
        overrun
            .to_string()
            .starts_with("plugin counter-in-c 0.3.0: CounterHook has been in after_train_iter for")
    );
}

#[test]
fn plugin_that_hangs_while_it_is_opened_is_reported_while_it_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let release = folder.path().join("release");
    let source = manifest_folder().join("tests/fixtures/counter.c");
    let source = std::fs::read_to_string(source).unwrap();
    // A minute at most, so that a host that does not name it fails this test instead of hanging.
    let constructor = format!(
        "\n#include <unistd.h>\n__attribute__((constructor)) static void opened(void) {{\n  for (int i = 0; i < 60000 && \
         access({release:?}, F_OK) != 0; i++) usleep(1000);\n}}\n"
    );
    let file = folder.path().join("slow.c");
    std::fs::write(&file, source + &constructor).unwrap();
    let library = folder.path().join("libslow.so");
    compile(&file, &library, &[]);
    let (send, receive) = std::sync::mpsc::channel();
    let path = library.clone();
    let watchdog = Watchdog::start(
        Duration::from_millis(20),
        || (),
        move |seen| {
            if let Sighting::Overrun(overrun) = seen
                && overrun.path == path
            {
                std::fs::write(&release, "").unwrap();
                let _ = send.send(overrun);
            }
        },
    );
    let plugin = Plugin::read(&library).unwrap();
    load(&PluginType::hooks_of(plugin)[0]).unwrap();
    drop(watchdog.unwrap());
    let overrun = receive.recv().unwrap();
    assert_eq!((overrun.point, overrun.type_name.as_str()), ("load", ""));
}

fn deadline_of_a_hook_counts_more_than_the_watchdog_s(release: &Path) {
    let deadline = Deadline { after: Duration::from_millis(10), ends_run: true };
    let loaded = load(&counter().1).unwrap().with_deadline(Some(deadline));
    let mut hook = loaded.construct(&json!({ "mode": "hang" })).unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    let release = release.to_path_buf();
    let watchdog = Watchdog::start(
        Duration::from_secs(3600),
        || (),
        move |seen| {
            let Sighting::Overrun(overrun) = seen else { return };
            if overrun.is_final {
                std::fs::write(&release, "").unwrap();
            }
            let _ = send.send(overrun);
        },
    );
    hook.call(ITERATION, Some(0), &mut FakeRunner::new()).unwrap();
    drop(watchdog.unwrap());
    let seen: Vec<_> = receive.iter().collect();
    let last = seen.last().unwrap();
    assert!(last.is_final && last.elapsed >= deadline.after * 2, "{seen:?}");
    assert_eq!(last.deadline, deadline.after);
    assert!(last.to_string().contains("its deadline is 0.01 s"), "{last}");
}

/// What a child process says and how it ends when a hook with this mode is called in it. In the child, does not return.
fn last_words(test: &str, mode: &str) -> (Option<i32>, String, Option<String>) {
    const NOTE: &str = "SNAPHOOK_TEST_CRASH_NOTE";
    if let Some(note) = std::env::var_os(NOTE) {
        install_last_words(Path::new(&note)).unwrap();
        let mut run = FakeRunner::new();
        run.set_progress(|progress| progress.iter = 12);
        let _ = hook(json!({ "mode": mode })).call(ITERATION, Some(5), &mut run);
        unreachable!("the hook ends the process");
    }
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("crash-note");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", &format!("c_plugin::{test}")])
        .env(NOTE, &note)
        .output()
        .unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&child.status);
    (signal, String::from_utf8_lossy(&child.stderr).into_owned(), take_crash_note(&note))
}

const AT: &str = "CounterHook at after_train_iter, iteration 12, batch 5";

#[test]
fn segfault_of_a_hook_names_it_in_the_last_words_and_in_a_note() {
    let (signal, words, note) =
        last_words("segfault_of_a_hook_names_it_in_the_last_words_and_in_a_note", "segfault");
    assert_eq!(signal, Some(11), "{words}");
    assert!(words.contains("snaphook: SIGSEGV in plugin counter-in-c 0.3.0 ("), "{words}");
    assert!(words.contains(AT), "{words}");
    assert!(note.unwrap().ends_with(AT));
}

#[test]
fn abort_of_a_hook_names_it_in_the_last_words() {
    let (signal, words, note) = last_words("abort_of_a_hook_names_it_in_the_last_words", "abort");
    assert_eq!(signal, Some(6), "{words}");
    assert!(words.contains("snaphook: SIGABRT in plugin counter-in-c 0.3.0 ("), "{words}");
    assert!(note.unwrap().ends_with(AT));
}

#[test]
fn segfault_in_a_thread_of_a_plugin_names_the_plugin() {
    let (signal, words, note) =
        last_words("segfault_in_a_thread_of_a_plugin_names_the_plugin", "thread");
    assert_eq!(signal, Some(11), "{words}");
    assert!(words.contains("snaphook: SIGSEGV in plugin counter-in-c 0.3.0 ("), "{words}");
    assert!(note.unwrap().ends_with("in a thread of its own"), "{words}");
}

#[test]
fn plugins_with_functions_of_one_name_do_not_see_each_others() {
    let source = manifest_folder().join("tests/fixtures/counter.c");
    let mut counts = Vec::new();
    for step in ["-DSTEP=3", "-DSTEP=5"] {
        let folder = tempfile::tempdir().unwrap();
        compile(&source, &folder.path().join("libcounter.so"), &[step]);
        let search_path = SearchPath::builder().without_environment().command_line([folder.path()]);
        let found = match Catalog::discover(&search_path.build()).resolve("CounterHook", &[]) {
            Ok(Resolved::Plugin(found)) => found,
            other => panic!("{other:?}"),
        };
        let mut hook = load(&found).unwrap().construct(&json!({})).unwrap();
        hook.call(ITERATION, None, &mut FakeRunner::new()).unwrap();
        counts.push(hook.save_state().unwrap().unwrap().data);
    }
    assert_eq!(counts, [json!(3), json!(5)]);
}

#[test]
fn c_header_has_the_layout_of_the_released_abi() {
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("layout.c"), folder.path().join("layout.so"));
    let released = manifest_folder().join("../../plugin-api/src/abi/released-1.0.txt");
    let released = std::fs::read_to_string(released).unwrap();
    std::fs::write(&source, layout_asserts(&released)).unwrap();
    compile(&source, &library, &[]);
}

/// C that does not compile unless each struct of the header has these sizes and offsets.
fn layout_asserts(released: &str) -> String {
    let mut asserts = "#include \"snaphook_plugin.h\"\n".to_owned();
    let mut current = String::new();
    // The prefix type of abi_stable is for plugins in Rust; C has `PluginEntry`.
    let (before, after) = released.split_once("PluginModule").unwrap();
    let after = after.lines().skip_while(|line| !line.starts_with("Progress"));
    for line in before.lines().chain(after) {
        let words: Vec<&str> = line.split_whitespace().collect();
        asserts += &match line.strip_prefix("  ") {
            None => {
                current = c_name(words[0]);
                format!("_Static_assert(sizeof({current}) == {}, \"{line}\");\n", words[1])
            }
            Some(member) => {
                let member = member.replace('"', "'");
                let offset = format!("offsetof({current}, {}) == {}", words[1], words[0]);
                format!("_Static_assert({offset}, \"{member}\");\n")
            }
        };
    }
    asserts
}

fn c_name(rust: &str) -> String {
    match rust {
        "HostTable" => "snaphook_host".to_owned(),
        "CallContext" => "snaphook_call".to_owned(),
        "HookObject" => "snaphook_hook".to_owned(),
        "HookVTable" => "snaphook_hook_vtable".to_owned(),
        "PluginEntry" => "snaphook_plugin".to_owned(),
        other => {
            let words = other.chars().fold(String::new(), |mut words, letter| {
                if letter.is_uppercase() {
                    words.push('_');
                }
                words.extend(letter.to_lowercase());
                words
            });
            format!("snaphook{words}")
        }
    }
}
