//! A plugin that is checked in a child process: what crashes, hangs, leaks or lies there is a report here. Knows nothing
//! of the command line.

use crate::c_compiler::{compile, manifest_folder};
use serde_json::json;
use snaphook_loader::{
    CheckEnd, CheckLimits, CheckReport, Exercise, Plugin, StepVerdict, check_in_child, exercise,
    limit_this_process, listen_to_stdout_alone,
};
use snaphook_plugin_api::HookPoint;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const FILE: &str = "SNAPHOOK_TEST_CHECK_FILE";
const KWARGS: &str = "SNAPHOOK_TEST_CHECK_KWARGS";

/// A child of the tests below, and no test by itself.
#[test]
fn child() {
    let Some(file) = std::env::var_os(FILE) else { return };
    // A harness with one thread has begun a line with the name of this test.
    std::io::stdout().write_all(b"\n").unwrap();
    std::io::stdout().flush().unwrap();
    let mut events = listen_to_stdout_alone().unwrap();
    limit_this_process(4096).unwrap();
    let kwargs = std::env::var(KWARGS).ok().map(|text| serde_json::from_str(&text).unwrap());
    let what = Exercise { kwargs, conformance: true, lives: None };
    exercise(Plugin::read(Path::new(&file)).unwrap(), &what, &mut events).unwrap();
    // Not by the test's own end, whose words are for people.
    std::process::exit(0);
}

/// The counter in C, changed.
fn counter(folder: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let source = manifest_folder().join("tests/fixtures/counter.c");
    let mut source = std::fs::read_to_string(source).unwrap();
    for (from, to) in changes {
        assert!(source.contains(from), "no {from:?} to change");
        source = source.replacen(from, to, 1);
    }
    let (file, library) = (folder.join("counter.c"), folder.join("libcounter.so"));
    std::fs::write(&file, source).unwrap();
    compile(&file, &library, &[]);
    library
}

fn check(file: &Path, kwargs: Option<&str>, deadline: Duration) -> CheckReport {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "--nocapture", "check::child"]).env(FILE, file);
    child.envs(kwargs.map(|kwargs| (KWARGS, kwargs)));
    check_in_child(child, CheckLimits { deadline, ..CheckLimits::default() }).unwrap()
}

/// Far above what any step takes: only a plugin that hangs meets it.
const PATIENT: Duration = Duration::from_secs(120);

fn check_changed(changes: &[(&str, &str)]) -> CheckReport {
    let folder = tempfile::tempdir().unwrap();
    check(&counter(folder.path(), changes), None, PATIENT)
}

#[track_caller]
fn text_of(report: &CheckReport, at: &str, verdict: StepVerdict) -> String {
    let step = report.steps.iter().find(|step| step.at == at);
    let step = step.unwrap_or_else(|| panic!("no {at} in {report:#?}"));
    assert_eq!(step.verdict, verdict, "{step:?}");
    step.text.clone()
}

#[test]
fn good_plugin_is_found_sound_step_by_step() {
    let report = check_changed(&[]);
    assert!(report.is_sound(), "{report:#?}");
    let at: Vec<&str> = report.steps.iter().map(|step| step.at.as_str()).collect();
    let expected = [
        "load",
        "CounterHook construct",
        "CounterHook before_train_iter",
        "CounterHook after_train_iter",
        "CounterHook save_state",
        "CounterHook load_state",
        "CounterHook close",
        "CounterHook unknown argument",
        "CounterHook every point",
        "CounterHook state goes round",
        "CounterHook closes twice",
        "CounterHook second life",
        "CounterHook leaks in 100 lives",
        "CounterHook cost of before_train_iter",
        "CounterHook cost of after_train_iter",
    ];
    assert_eq!(at, expected);
    assert!(text_of(&report, expected[14], StepVerdict::Fine).ends_with(" ns a call"));
}

/// Code that runs when the file is opened.
fn when_opened(code: &str) -> String {
    format!(
        "static const snaphook_hook_vtable vtable\n    __attribute__((unused));\n__attribute__((constructor)) static void opened(void) {{ {code} }}\nstatic const snaphook_hook_vtable vtable"
    )
}

#[test]
fn crash_and_exit_when_it_is_opened_are_reports() {
    for (code, how) in [
        ("volatile int *volatile nowhere = NULL; *nowhere = 1;", "SIGSEGV"),
        ("abort();", "SIGABRT"),
        ("_exit(3);", "it ended the process with exit code 3"),
        ("_exit(0);", "it ended the process with exit code 0"),
    ] {
        let report =
            check_changed(&[("static const snaphook_hook_vtable vtable", &when_opened(code))]);
        let expected = CheckEnd::Crashed { at: "load".to_owned(), how: how.to_owned() };
        assert_eq!(report.end, expected);
        assert!(report.worth_remembering().unwrap().starts_with("crashed ("));
    }
}

#[test]
fn hang_when_it_is_opened_is_a_report_and_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let code = format!(
        "FILE *file = fopen({pids:?}, \"w\"); int child = fork(); if (child != 0) {{ fprintf(file, \"%d\", child); \
         fclose(file); }} for (;;) pause();"
    );
    let changed = [("static const snaphook_hook_vtable vtable", when_opened(&code))];
    let changed = changed.each_ref().map(|(from, to)| (*from, to.as_str()));
    let file = counter(folder.path(), &changed);
    let report = check(&file, None, Duration::from_secs(3));
    let after = Duration::from_secs(3);
    assert_eq!(report.end, CheckEnd::Hung { at: "load".to_owned(), after });
    assert_eq!(report.worth_remembering().unwrap(), "hung (more than 3 s) at load");
    let left = std::fs::read_to_string(pids).unwrap();
    // A killed process is gone a moment later; only one that is never gone fails here.
    let is_gone = || {
        let stat = std::fs::read_to_string(format!("/proc/{left}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z"))
    };
    let gone = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        is_gone()
    });
    assert!(gone, "process {left} lives");
}

#[test]
fn crash_at_a_point_is_named_by_its_step_and_what_it_said_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file =
        counter(folder.path(), &[("abort();", "fputs(\"my last words\", stderr); abort();")]);
    let report = check(&file, Some(&json!({ "mode": "abort" }).to_string()), PATIENT);
    let at = "CounterHook after_train_iter".to_owned();
    assert_eq!(report.end, CheckEnd::Crashed { at, how: "SIGABRT".to_owned() });
    assert!(report.said.contains("my last words"), "{}", report.said);
    assert!(text_of(&report, "CounterHook before_train_iter", StepVerdict::Fine).is_empty());
}

#[test]
fn what_a_plugin_prints_does_not_spoil_the_report() {
    let printing =
        "printf(\"{\\\"begin\\\": \\\"lies\\\"}\\n\"); fflush(stdout); self->calls += helper();";
    let report = check_changed(&[("self->calls += helper();", printing)]);
    assert!(report.is_sound(), "{report:#?}");
    assert!(report.said.contains("lies"), "{}", report.said);
}

#[test]
fn error_of_a_hook_is_a_note_and_a_defect_is_a_defect() {
    let folder = tempfile::tempdir().unwrap();
    let file = counter(folder.path(), &[]);
    let report = check(&file, Some(&json!({ "mode": "fail" }).to_string()), PATIENT);
    let text = text_of(&report, "CounterHook after_train_iter", StepVerdict::Remark);
    assert_eq!(text, "answered an error: C has had enough");
    assert!(report.is_sound(), "{report:#?}");
    let refused = check_changed(&[("if (self == NULL ||", "if (self != NULL ||")]);
    let text = text_of(&refused, "CounterHook construct", StepVerdict::Wrong);
    assert!(text.contains("expected the type CounterHook"), "{text}");
    assert!(!refused.is_sound() && refused.worth_remembering().is_none());
}

#[test]
fn leak_state_and_unknown_arguments_are_found_by_the_conformance_steps() {
    let leaking = check_changed(&[
        (
            "counter *self = calloc(1, sizeof *self);",
            "counter *self = calloc(2, sizeof *self); self++;",
        ),
        ("call, save_state, load_state, free}", "call, save_state, load_state, keep}"),
        (
            "static const snaphook_hook_vtable vtable",
            "static void keep(void *instance) { (void)instance; }\nstatic const snaphook_hook_vtable vtable",
        ),
        ("        free(self);\n", ""),
    ]);
    let text = text_of(&leaking, "CounterHook leaks in 100 lives", StepVerdict::Wrong);
    assert!(text.ends_with("bytes are left of each life"), "{text}");
    let forgetful = check_changed(&[("strtoull(text, NULL, 10)", "0")]);
    let text = text_of(&forgetful, "CounterHook state goes round", StepVerdict::Wrong);
    assert_eq!(text, "saved 1, and after loading it 0");
    let lax = check_changed(&[("\"properties\": {", "\"roperties\": {")]);
    text_of(&lax, "CounterHook unknown argument", StepVerdict::Wrong);
}

/// Where a call of the counter in C begins, and its first constructor's line.
const CALL: &str = "    if (call->point != SNAPHOOK_AFTER_TRAIN_ITER) {";
const CONSTRUCT: &str = "    counter *self = calloc(1, sizeof *self);";

#[test]
fn points_ends_and_lives_that_a_plugin_does_not_take_are_found() {
    let at_the_end = format!("if (call->point == SNAPHOOK_AFTER_RUN) abort();\n{CALL}");
    // Nothing is declared for this point, and the first steps do not call it.
    let report = check_changed(&[(CALL, &at_the_end)]);
    let crashed = |at: &str| CheckEnd::Crashed { at: at.to_owned(), how: "SIGABRT".to_owned() };
    assert_eq!(report.end, crashed("CounterHook every point"));

    let twice = format!(
        "static counter *ended; if (call->point == SNAPHOOK_AFTER_RUN) {{ if (ended == self) abort(); ended = self; }}\n\
         {CALL}"
    );
    let report = check_changed(&[(CALL, &twice)]);
    assert_eq!(report.end, crashed("CounterHook closes twice"));

    // One for the first steps, one each for its state and the unknown argument, one for each point, two for the state that
    // goes round, one that closes twice, and the first of two lives.
    let most = 1 + 1 + 1 + HookPoint::ALL.len() + 2 + 1 + 1;
    let mortal =
        format!("    static int made; if (++made > {most}) return SNAPHOOK_FAILED;\n{CONSTRUCT}");
    let report = check_changed(&[(CONSTRUCT, &mortal)]);
    text_of(&report, "CounterHook closes twice", StepVerdict::Fine);
    text_of(&report, "CounterHook second life", StepVerdict::Wrong);
}

#[test]
fn a_block_that_every_fourth_life_leaves_is_found_and_threads_that_end_later_are_none() {
    let rarely = format!(
        "    static int made; static void *volatile lost; if (++made % 4 == 0) lost = malloc(20); (void)lost;\n{CONSTRUCT}"
    );
    let report = check_changed(&[(CONSTRUCT, &rarely)]);
    let text = text_of(&report, "CounterHook leaks in 100 lives", StepVerdict::Wrong);
    assert_eq!(text, "8 bytes are left of each life");

    let threads = format!(
        "    pthread_t later; pthread_create(&later, NULL, linger, malloc(4000)); pthread_detach(later);\n{CONSTRUCT}"
    );
    let linger = "static uint32_t construct_hook(";
    let report = check_changed(&[
        (CONSTRUCT, &threads),
        (
            linger,
            "static void *linger(void *block) { usleep(2000); free(block); return NULL; }\nstatic uint32_t construct_hook(",
        ),
    ]);
    text_of(&report, "CounterHook leaks in 100 lives", StepVerdict::Fine);
}

#[test]
fn a_hook_that_costs_more_than_its_manifest_says_is_found() {
    let says = |cost: &str| {
        check_changed(&[("\"priority\": 60,", &format!("\"priority\": 60, \"cost_us\": {cost},"))])
    };
    let at = "CounterHook cost of after_train_iter";
    let text = text_of(&says("0"), at, StepVerdict::Wrong);
    assert!(text.ends_with(" ns a call, where its manifest says at most 0 µs"), "{text}");
    text_of(&says("1000000"), at, StepVerdict::Fine);
}

#[test]
fn panics_of_a_rust_plugin_are_defects_wherever_they_happen() {
    let folder = crate::faults::built();
    let file = folder.join("libfaulty_plugin.so");
    let with = |mode: &str| check(&file, Some(&json!({ "mode": mode }).to_string()), PATIENT);
    for (mode, at, part) in [
        ("construct", "construct", "panicked: no construction today (host"),
        ("number", "after_train_iter", "panicked: a panic without text"),
        ("thread-panic", "before_train", "a thread gave up"),
        ("save", "save_state", "panicked: nothing to save"),
        ("drop", "close", "does not want to go"),
    ] {
        let report = with(mode);
        let text = text_of(&report, &format!("FaultyHook {at}"), StepVerdict::Wrong);
        assert!(text.contains(part), "{mode}: {text}");
        assert_eq!(report.end, CheckEnd::Finished, "{mode}");
    }
    assert!(with("nothing").is_sound(), "{:#?}", with("nothing"));
}
