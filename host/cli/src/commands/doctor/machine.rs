//! Processors, memory and disk of this machine. Knows nothing of what a run needs beyond rough bounds.

use std::path::Path;

use super::Check;

const MB: u64 = 1_000_000;
/// Below this a small detector does not train.
const LEAST_MEMORY_MB: u64 = 2_000;
/// A work folder with a few checkpoints.
const LEAST_DISK_MB: u64 = 1_000;

pub(super) fn checks() -> Vec<Check> {
    let memory = std::fs::read_to_string("/proc/meminfo").ok();
    vec![processors(), memory_check(memory.as_deref().unwrap_or_default()), disk(Path::new("."))]
}

fn processors() -> Check {
    match std::thread::available_parallelism() {
        Ok(count) => Check::ok("processors", count.to_string()),
        Err(error) => Check::note("processors", format!("not known: {error}")),
    }
}

fn memory_check(meminfo: &str) -> Check {
    let (Some(available), Some(total)) =
        (field(meminfo, "MemAvailable"), field(meminfo, "MemTotal"))
    else {
        return Check::note("memory", "not known: /proc/meminfo cannot be read");
    };
    let found = format!("{available} MB free of {total} MB");
    if available < LEAST_MEMORY_MB {
        let way_out = format!("end other programs, training takes {LEAST_MEMORY_MB} MB and more");
        return Check::wrong("memory", found, way_out);
    }
    Check::ok("memory", found)
}

/// A line such as `MemTotal:  16384 kB`, in MB.
fn field(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024 / MB)
}

fn disk(folder: &Path) -> Check {
    let Ok(found) = rustix::fs::statvfs(folder) else {
        return Check::note("disk", "not known");
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize) / MB;
    let text = format!("{free} MB free here");
    if free < LEAST_DISK_MB {
        let way_out = "make space, or train with --work-dir on another disk";
        return Check::wrong("disk", text, way_out);
    }
    Check::ok("disk", text)
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn memory_is_read_in_megabytes() {
        let text = "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:    8000000 kB\n";
        assert_eq!(memory_check(text).found, "8192 MB free of 16384 MB");
        let scarce = "MemTotal: 1000000 kB\nMemAvailable: 500000 kB\n";
        assert_eq!(memory_check(scarce).outcome, Outcome::Wrong);
        assert_eq!(memory_check("nonsense").outcome, Outcome::Note);
    }
}
