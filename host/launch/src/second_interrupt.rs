//! A second Ctrl-C ends a process at once. The same Ctrl-C may come twice, from a batch system that signals all processes of a job and
//! from a launcher that passes it on. Knows nothing of what the first one asks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::SIGINT;
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// What comes so soon after the first one is the same wish.
const SAME_WISH: Duration = Duration::from_millis(500);

/// From now on SIGINT ends this process at once, with code 130, when the first one has come half a second ago or longer. What
/// the first one asks for is the caller's.
pub fn end_at_second_interrupt() {
    listen(SAME_WISH);
}

fn listen(same_wish: Duration) {
    let is_second = Arc::new(AtomicBool::new(false));
    // Fails only for signals that cannot be caught, and this one can be.
    let _ = flag::register_conditional_shutdown(SIGINT, 128 + SIGINT, Arc::clone(&is_second));
    let set = Arc::clone(&is_second);
    let started = Signals::new([SIGINT]).and_then(|mut signals| {
        let wait = move || {
            if signals.forever().next().is_some() {
                std::thread::sleep(same_wish);
                set.store(true, Ordering::SeqCst);
            }
        };
        std::thread::Builder::new().name("second-interrupt".to_owned()).spawn(wait)
    });
    if started.is_err() {
        // Without a thread the very next one is the second.
        let _ = flag::register(SIGINT, is_second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

    /// What the process of a test is told: milliseconds of the same wish.
    const PAUSE: &str = "SNAPHOOK_TEST_SAME_WISH_MS";
    const HEARD_TWICE: i32 = 7;

    /// No test of its own: the process that the other one interrupts.
    #[test]
    fn process() {
        let Ok(pause) = std::env::var(PAUSE) else { return };
        listen(Duration::from_millis(pause.parse().unwrap()));
        let mut signals = Signals::new([SIGINT]).unwrap();
        println!("\nready");
        for count in 1.. {
            signals.forever().next().unwrap();
            println!("heard");
            if count == 2 && pause != "0" {
                std::process::exit(HEARD_TWICE);
            }
        }
    }

    struct Interrupted {
        child: Child,
        lines: std::io::Lines<BufReader<ChildStdout>>,
    }

    impl Interrupted {
        fn start(pause: &str) -> Interrupted {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "second_interrupt::tests::process", "--nocapture"]);
            let mut child = command.env(PAUSE, pause).stdout(Stdio::piped()).spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut started = Interrupted { child, lines };
            started.expect("ready");
            started
        }

        fn expect(&mut self, expected: &str) {
            assert!(self.lines.any(|line| line.unwrap() == expected), "it ended");
        }

        fn interrupt(&self) {
            let process = Pid::from_raw(self.child.id().cast_signed());
            kill(process, Signal::SIGINT).unwrap();
        }

        fn ended(mut self) -> ExitStatus {
            self.child.wait().unwrap()
        }
    }

    #[test]
    fn a_second_interrupt_counts_when_it_is_another_wish() {
        let mut same = Interrupted::start("60000");
        same.interrupt();
        same.expect("heard");
        same.interrupt();
        assert_eq!(same.ended().code(), Some(HEARD_TWICE));

        let mut other = Interrupted::start("0");
        other.interrupt();
        other.expect("heard");
        while other.child.try_wait().unwrap().is_none() {
            other.interrupt();
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(other.ended().code(), Some(130));
    }
}
