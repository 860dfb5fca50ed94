//! The figures of Linux's `/proc`, and how they are worded. Knows nothing of runs.

use serde_json::{Map, Value as Json, json};
use snaphook_plugin_api::HookError;
use std::fs::read_to_string;

/// Units: kilobytes, as `/proc` has them.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    total: u64,
    available: u64,
    swap_total: u64,
    swap_free: u64,
    process: u64,
}

impl Memory {
    /// How things stand.
    pub(crate) fn now() -> Result<Memory, HookError> {
        Memory::read(&read_to_string("/proc/meminfo")?, &read_to_string("/proc/self/status")?)
    }

    fn read(system: &str, process: &str) -> Result<Memory, HookError> {
        let (total, free) = (field(system, "MemTotal")?, field(system, "MemFree")?);
        let available = field(system, "MemAvailable")?;
        Ok(Memory {
            total,
            // In some containers more is available than there is.
            available: if available > total { free } else { available },
            swap_total: field(system, "SwapTotal")?,
            swap_free: field(system, "SwapFree")?,
            process: field(process, "VmRSS")?,
        })
    }

    pub(crate) fn process_bytes(&self) -> u64 {
        self.process * 1024
    }

    fn used(&self) -> u64 {
        self.total.saturating_sub(self.available)
    }

    fn swap_used(&self) -> u64 {
        self.swap_total.saturating_sub(self.swap_free)
    }

    /// MMDetection's line.
    pub(crate) fn line(&self) -> String {
        format!(
            "Memory information available_memory: {} MB, used_memory: {} MB, memory_utilization: {:.1} %, \
             available_swap_memory: {} MB, used_swap_memory: {} MB, swap_memory_utilization: {:.1} %, \
             current_process_memory: {} MB",
            megabytes(self.available),
            megabytes(self.used()),
            percent(self.used(), self.total),
            megabytes(self.swap_free),
            megabytes(self.swap_used()),
            percent(self.swap_used(), self.swap_total),
            megabytes(self.process),
        )
    }

    /// The same as a sentence for people.
    pub(crate) fn sentence(&self) -> String {
        let (available, used) = (megabytes(self.available), megabytes(self.used()));
        let (swap_free, swap_used) = (megabytes(self.swap_free), megabytes(self.swap_used()));
        format!(
            "The system has {} GB ({available} MB + {used} MB) of memory and {} GB ({swap_free} MB + {swap_used} MB) of \
             swap memory in total. Currently {used} MB ({:.1}%) of memory and {swap_used} MB ({:.1}%) of swap memory were \
             consumed. And the current training process consumed {} MB of memory.",
            gigabytes(self.total),
            gigabytes(self.swap_total),
            percent(self.used(), self.total),
            percent(self.swap_used(), self.swap_total),
            megabytes(self.process),
        )
    }

    /// The figures by the names of the line.
    pub(crate) fn scalars(&self) -> Map<String, Json> {
        let values = [
            ("available_memory", megabytes(self.available) as f64),
            ("used_memory", megabytes(self.used()) as f64),
            ("memory_utilization", percent(self.used(), self.total)),
            ("available_swap_memory", megabytes(self.swap_free) as f64),
            ("used_swap_memory", megabytes(self.swap_used()) as f64),
            ("swap_memory_utilization", percent(self.swap_used(), self.swap_total)),
            ("current_process_memory", megabytes(self.process) as f64),
        ];
        values.iter().map(|(name, value)| (format!("memory/{name}"), json!(value))).collect()
    }
}

fn field(text: &str, name: &str) -> Result<u64, HookError> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| HookError::new(format!("/proc: expected a line '{name}', found none")))
}

fn megabytes(kilobytes: u64) -> u64 {
    (kilobytes + 512) / 1024
}

fn gigabytes(kilobytes: u64) -> u64 {
    (kilobytes + 512 * 1024) / (1024 * 1024)
}

/// Per cent with one decimal, as `psutil` rounds them.
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    (1000.0 * part as f64 / whole.max(1) as f64).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::Memory;
    use std::process::Command;

    const SYSTEM: &str = "MemTotal: 261905408 kB\nMemFree: 200000000 kB\nMemAvailable: 252272640 kB\n\
                          SwapTotal: 8388608 kB\nSwapFree: 5877760 kB\n";

    #[test]
    fn line_and_sentence_are_those_of_mmdetection() {
        let memory = Memory::read(SYSTEM, "Name: x\nVmRSS:\t 5564416 kB\n").unwrap();
        assert_eq!(
            memory.line(),
            "Memory information available_memory: 246360 MB, used_memory: 9407 MB, memory_utilization: 3.7 %, \
             available_swap_memory: 5740 MB, used_swap_memory: 2452 MB, swap_memory_utilization: 29.9 %, \
             current_process_memory: 5434 MB"
        );
        assert_eq!(
            memory.sentence(),
            "The system has 250 GB (246360 MB + 9407 MB) of memory and 8 GB (5740 MB + 2452 MB) of swap memory in \
             total. Currently 9407 MB (3.7%) of memory and 2452 MB (29.9%) of swap memory were consumed. And the \
             current training process consumed 5434 MB of memory."
        );
        assert!(Memory::read("", "").is_err());
    }

    #[test]
    fn a_machine_without_swap_has_none_in_use() {
        let system = SYSTEM.replace("8388608", "0").replace("5877760", "0");
        let memory = Memory::read(&system, "VmRSS: 1 kB\n").unwrap();
        assert!(memory.line().contains("used_swap_memory: 0 MB, swap_memory_utilization: 0.0 %"));
    }

    /// Asks `psutil` between two readings of ours: its figures lie between them, give or take what the system does.
    #[test]
    fn figures_agree_with_psutil_where_it_is_installed() {
        let python = std::env::var_os("SNAPHOOK_PEER_PYTHON").unwrap_or_else(|| "python3".into());
        let script = "import psutil, os\nv, s = psutil.virtual_memory(), psutil.swap_memory()\n\
            p = psutil.Process(os.getppid()).memory_info()\n\
            print(v.total, v.available, v.used, s.total - s.used, s.used, p.rss)";
        let asked = Command::new(python).args(["-c", script]).output();
        let Some(asked) = asked.ok().filter(|asked| asked.status.success()) else {
            eprintln!("not compared: no python3 with psutil (SNAPHOOK_PEER_PYTHON names another)");
            return;
        };
        let theirs: Vec<f64> = String::from_utf8(asked.stdout)
            .unwrap()
            .split_whitespace()
            .map(|figure| figure.parse::<f64>().unwrap() / 1024.0)
            .collect();
        let ours = Memory::now().unwrap();
        let pairs = [
            ours.total,
            ours.available,
            ours.used(),
            ours.swap_free,
            ours.swap_used(),
            ours.process,
        ];
        // Other programs take and give memory between the two readings; 2 GB is far below what a wrong field would show
        // on the machines that have that much, and the totals must be equal.
        assert_eq!(pairs[0] as f64, theirs[0]);
        for (ours, theirs) in pairs.iter().zip(&theirs) {
            assert!(
                (*ours as f64 - theirs).abs() < 2.0 * 1024.0 * 1024.0,
                "{pairs:?}, psutil {theirs}"
            );
        }
        let process = (ours.process as f64 - theirs[5]).abs();
        assert!(process < 8.0 * 1024.0, "{pairs:?}, psutil {theirs:?}");
    }
}
