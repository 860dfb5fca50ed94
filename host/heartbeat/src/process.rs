//! Processes as the kernel tells of them, and which one wrote a record: numbers of processes are given again, and a folder
//! may be shared by machines and containers. Knows nothing of what processes do.

/// Whether the process that wrote a record is there, as far as this one can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It runs, or waits for something.
    Runs,
    /// A signal or a debugger has stopped it.
    Stopped,
    /// It has ended.
    Ended,
    /// It belongs to another machine or container, to the time before this machine was started, or to a build that did not
    /// say so: nothing can be known of it here.
    Elsewhere,
}

/// What tells a process from all others, with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The machine since its start, and the container: a hash. 0 where it is not known.
    pub(crate) home: u64,
    /// When the process began, in ticks since the machine did.
    pub(crate) began: u64,
}

impl Origin {
    /// Of this process.
    pub(crate) fn own() -> Origin {
        let began = stat(std::process::id().into()).and_then(|stat| began_of(&stat));
        Origin { home: home(), began: began.unwrap_or_default() }
    }

    /// Of the process of this number that has this origin.
    pub(crate) fn presence(self, process: u64) -> Presence {
        if self.home == 0 || self.home != home() {
            return Presence::Elsewhere;
        }
        let stat = stat(process).filter(|stat| began_of(stat) == Some(self.began));
        match stat.and_then(|stat| state_of(&stat)) {
            Some('T' | 't') => Presence::Stopped,
            Some('Z' | 'X') | None => Presence::Ended,
            Some(_) => Presence::Runs,
        }
    }
}

/// The state of a process of this machine, one letter of `/proc`: `R` running, `S` sleeping, `D` in the kernel, `T` stopped,
/// `Z` ended. `None` where there is no such process.
pub fn process_state(process: u64) -> Option<char> {
    state_of(&stat(process)?)
}

fn stat(process: u64) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{process}/stat")).ok()
}

/// What follows the name, which is in brackets and may hold anything.
fn after_name(stat: &str) -> Option<&str> {
    Some(stat.rsplit_once(") ")?.1)
}

fn state_of(stat: &str) -> Option<char> {
    after_name(stat)?.chars().next()
}

/// The 22nd field; the state is the third.
fn began_of(stat: &str) -> Option<u64> {
    after_name(stat)?.split(' ').nth(22 - 3)?.parse().ok()
}

/// Containers of one machine have its boot id, and their processes numbers of their own.
fn home() -> u64 {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let numbers = std::fs::read_link("/proc/self/ns/pid");
    match (boot, numbers) {
        (Ok(boot), Ok(numbers)) => hash([boot.as_bytes(), numbers.as_os_str().as_encoded_bytes()]),
        _ => 0,
    }
}

/// FNV-1a: the same in every build, as records are read by other ones.
fn hash(parts: [&[u8]; 2]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    parts.concat().iter().fold(0xcbf2_9ce4_8422_2325, fold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_another_is_not_there() {
        assert!(matches!(process_state(std::process::id().into()), Some('R' | 'S')));
        assert_eq!(process_state(u64::MAX), None);
        assert_eq!(state_of("12 (a) b) T 1 2"), Some('T'));
    }

    #[test]
    fn a_process_is_known_by_its_number_its_begin_and_its_home() {
        let (own, number) = (Origin::own(), std::process::id().into());
        assert_eq!(own.presence(number), Presence::Runs);
        assert_eq!(own.presence(u64::MAX), Presence::Ended);
        let later = Origin { began: own.began + 1, ..own };
        assert_eq!(later.presence(number), Presence::Ended, "its number is another one's now");
        for home in [!own.home, 0] {
            assert_eq!(Origin { home, ..own }.presence(number), Presence::Elsewhere);
        }
    }

    #[test]
    fn fields_of_a_process_are_counted_behind_its_name() {
        let numbers: Vec<String> = (4..=52).map(|field| field.to_string()).collect();
        let stat = format!("12 (a) S b) T {}", numbers.join(" "));
        assert_eq!((state_of(&stat), began_of(&stat)), (Some('T'), Some(22)));
        // The value of the algorithm's own test suite.
        assert_eq!(hash([b"foo", b"bar"]), 0x8594_4171_f739_67e8);
    }
}
