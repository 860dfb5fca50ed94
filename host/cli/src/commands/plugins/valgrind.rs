//! A plugin's hooks under valgrind: what is lost of a hundred lives, and what is read or written where nothing is. Knows
//! nothing of what a hook does.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use snaphook_loader::{CheckEnd, CheckLimits, CheckReport, CheckStep, StepVerdict, check_in_child};

use super::check::{add_exercise, not_started};
use super::scratch::Scratch;
use crate::CliError;
use crate::args::PluginsCheckArguments;

const PROGRAM: &str = "valgrind";
const LIVES: usize = 100;
/// So much slower everything is, as valgrind's manual says of memcheck, and twice that.
const SLOWER: f64 = 60.0;
/// Of one finding, so many names of functions are shown.
const NAMES: usize = 12;

/// Errors: valgrind is not installed.
pub(super) fn find() -> Result<(), CliError> {
    let version = Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).status();
    version.map(drop).map_err(|error| {
        CliError::Plugin(format!(
            "{PROGRAM}: cannot be started: {error} (install it, as with apt-get install valgrind)"
        ))
    })
}

/// Adds what valgrind finds to a report; how it ends there is how the check ends.
pub(super) fn watch(
    path: &Path,
    arguments: &PluginsCheckArguments,
    report: &mut CheckReport,
) -> Result<(), CliError> {
    let failed = |error: std::io::Error| not_started(path, &error);
    let folder = Scratch::new().map_err(failed)?;
    let log = folder.path().join("valgrind.log");
    let mut child = Command::new(PROGRAM);
    child.args(["--leak-check=full", "--show-leak-kinds=definite"]);
    child.args(["--errors-for-leak-kinds=definite", "--num-callers=40"]);
    child.arg(format!("--log-file={}", log.display()));
    child.arg(std::env::current_exe().map_err(failed)?);
    add_exercise(&mut child, path, arguments).map_err(failed)?;
    child.args(["--unlimited", "--lives", &LIVES.to_string()]).current_dir(folder.path());
    let deadline = Duration::from_secs_f64(SLOWER * arguments.deadline_s);
    let limits = CheckLimits { deadline, memory_mib: arguments.exercise.memory_mib };
    let watched = check_in_child(child, limits).map_err(failed)?;
    // Steps that are there already, such as `load`, need not come twice.
    report.steps.extend(watched.steps.into_iter().filter(|step| step.at.ends_with(" lives")));
    report.end = watched.end;
    report.said += &watched.said;
    if report.end == CheckEnd::Finished {
        let text = std::fs::read_to_string(&log).map_err(failed)?;
        let (verdict, text) = read(&text);
        report.steps.push(CheckStep { at: format!("{PROGRAM} of {LIVES} lives"), verdict, text });
    }
    Ok(())
}

/// What the log of valgrind says.
fn read(log: &str) -> (StepVerdict, String) {
    let findings = findings(log);
    // Leaks come last, the largest at the end.
    match findings.last() {
        None if !log.contains("ERROR SUMMARY: ") => {
            (StepVerdict::Wrong, "its log has no end".to_owned())
        }
        None => (StepVerdict::Fine, "nothing is lost".to_owned()),
        Some(worst) => {
            let more = match findings.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            (StepVerdict::Wrong, format!("{worst}{more}"))
        }
    }
}

/// The findings of a log, each as its title and the functions on its stack, the innermost first.
fn findings(log: &str) -> Vec<String> {
    let mut findings: Vec<(String, Vec<&str>)> = Vec::new();
    let mut title = None;
    for line in log.lines() {
        // `==123== text`
        let Some((_, text)) = line.strip_prefix("==").and_then(|line| line.split_once("==")) else {
            continue;
        };
        let text = text.trim();
        let frame = text.strip_prefix("at ").or_else(|| text.strip_prefix("by "));
        match (frame.and_then(|frame| frame.split_once(": ")), &title) {
            (Some((_, function)), Some(_)) if text.starts_with("at ") => {
                let title: Option<String> = title.take();
                findings.push((title.unwrap_or_default(), vec![function]));
            }
            (Some((_, function)), _) => {
                if let Some((_, functions)) = findings.last_mut() {
                    functions.push(function);
                }
            }
            (None, _) => title = is_title(text).then(|| text.to_owned()),
        }
    }
    let worded = |(title, functions): (String, Vec<&str>)| {
        let names = functions.iter().map(|function| name(function));
        let names: Vec<&str> = names.filter(|name| !is_of_library(name)).collect();
        format!("{title}: {}", names[..names.len().min(NAMES)].join(" < "))
    };
    findings.into_iter().map(worded).collect()
}

/// Not the titles of further stacks that belong to a finding, such as where a block was freed.
fn is_title(text: &str) -> bool {
    let titles =
        ["Invalid ", "Conditional jump", "Use of uninit", "Mismatched free", "Syscall param"];
    text.contains(" are definitely lost in ") || titles.iter().any(|title| text.starts_with(title))
}

/// What every stack has between an allocation and whoever wanted it.
fn is_of_library(name: &str) -> bool {
    let names = ["alloc::", "<alloc::", "core::", "<core::", "std::", "<std::"];
    names.iter().any(|prefix| name.starts_with(prefix))
}

/// A function without its file and line.
fn name(function: &str) -> &str {
    function.rsplit_once(" (").map_or(function, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAK: &str = "\
==7== HEAP SUMMARY:
==7==     in use at exit: 3,300 bytes in 101 blocks
==7== 
==7== 3,200 bytes in 100 blocks are definitely lost in loss record 2 of 2
==7==    at 0x48: malloc (vg_replace_malloc.c:446)
==7==    by 0x49: leak::LeakHook::new (lib.rs:7)
==7==    by 0x50: construct<leak::LeakHook> (export.rs:9)
==7== 
==7== LEAK SUMMARY:
==7==    definitely lost: 3,200 bytes in 100 blocks
==7== ERROR SUMMARY: 1 errors from 1 contexts (suppressed: 0 from 0)
";

    #[test]
    fn a_leak_is_told_with_its_size_and_where_it_was_made() {
        let (verdict, text) = read(LEAK);
        assert_eq!(verdict, StepVerdict::Wrong);
        assert_eq!(
            text,
            "3,200 bytes in 100 blocks are definitely lost in loss record 2 of 2: malloc < leak::LeakHook::new < \
             construct<leak::LeakHook>"
        );
    }

    #[test]
    fn a_write_to_freed_memory_is_told_once_with_its_own_stack() {
        let log = "==7== Invalid write of size 1\n==7==    at 0x48: bad::write (lib.rs:3)\n\
                   ==7==  Address 0x5 is 0 bytes inside a block of size 8 free'd\n==7==    at 0x49: free (vg.c:1)\n\
                   ==7== \n==7== ERROR SUMMARY: 1 errors from 1 contexts\n";
        let (verdict, text) = read(log);
        assert_eq!(
            (verdict, text.as_str()),
            (StepVerdict::Wrong, "Invalid write of size 1: bad::write < free")
        );
    }

    #[test]
    fn a_log_without_findings_is_fine_and_one_that_was_cut_off_is_not() {
        let (verdict, _) = read("==7== ERROR SUMMARY: 0 errors from 0 contexts\n");
        assert_eq!(verdict, StepVerdict::Fine);
        assert_eq!(read("==7== HEAP SUMMARY:\n").0, StepVerdict::Wrong);
    }
}
