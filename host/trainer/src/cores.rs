//! The cores of a machine among the processes that train on it.

use serde_json::{Value as Json, json};

/// What tells whether two processes share cores: the machine, and the cores that they may run on. A launcher like `srun` gives
/// each task cores of its own, and a container has another host name.
pub(crate) fn own() -> Json {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    json!([read("/proc/sys/kernel/hostname"), read("/proc/sys/kernel/random/boot_id"), cores])
}

/// Threads for a process, of `cores` which it shares with those that told the same; `told` has its own, too.
pub(crate) fn threads(cores: usize, own: &Json, told: &[Json]) -> usize {
    let sharers = told.iter().filter(|other| *other == own).count();
    (cores / sharers.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_shared_with_those_that_have_the_same() {
        let here = own();
        assert!(
            here[2].as_str().is_some_and(|cores| cores
                .trim()
                .starts_with(|letter: char| letter.is_ascii_digit())),
            "{here}"
        );
        let there = json!(["other", "boot", "\t0-7"]);
        let all = [here.clone(), here.clone(), there.clone()];
        assert_eq!((threads(8, &here, &all), threads(8, &there, &all)), (4, 8));
        // As srun binds its tasks.
        let [first, second] = ["\t0-3", "\t4-7"].map(|cores| json!(["node", "boot", cores]));
        assert_eq!(threads(4, &first, &[first.clone(), second]), 4);
        assert_eq!(threads(1, &here, &all), 1);
    }
}
