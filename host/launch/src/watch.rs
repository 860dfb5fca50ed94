//! Whether the ranks of this machine still move, by the records that they write, and which is the odd one when they do
//! not. Ranks of programs that write no record are not judged. Knows nothing of what is done about it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use snaphook_heartbeat::Record;

use crate::Patience;
use crate::ending::{FAILED, Failure};

const EVERY: Duration = Duration::from_millis(500);
/// A rank that moves is not silent for so long, as far as records are looked at.
const A_MOMENT: Duration = Duration::from_secs(1);

/// How much longer a machine waits that knows no odd rank of its own, for one that does.
const OTHERS_WORD: Duration = Duration::from_secs(3);

/// For what is left to do when a run is over, such as a long upload: as long as ranks wait for each other then.
const LAST_WORK: Duration = Duration::from_secs(24 * 60 * 60);

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Alarm {
    /// Words for people.
    Warning(String),
    /// The job is to end.
    End(Failure),
}

/// A rank as the watch sees it.
struct Watched {
    rank: u32,
    record: PathBuf,
    seen: Option<Record>,
    since: Instant,
}

/// Looks at records now and then.
pub(crate) struct Watch {
    ranks: Vec<Watched>,
    patience: Patience,
    next: Instant,
    /// For how long nothing moved when it was told last, doubled.
    next_warning: Duration,
    /// Whether other machines look at ranks of theirs.
    has_others: bool,
    /// When the ranks were asked to end, if they were.
    asked: Option<Instant>,
}

impl Watch {
    /// Of ranks by their number and the file of their record.
    pub(crate) fn new(
        ranks: impl IntoIterator<Item = (u32, PathBuf)>,
        patience: Patience,
        now: Instant,
    ) -> Watch {
        let watched = |(rank, record)| Watched { rank, record, seen: None, since: now };
        Watch {
            ranks: ranks.into_iter().map(watched).collect(),
            patience,
            next: now + EVERY,
            next_warning: patience.hang_warning,
            has_others: false,
            asked: None,
        }
    }

    /// Whether other machines look at ranks of theirs: one that knows the odd rank is to tell it.
    pub(crate) fn beside_others(self, has_others: bool) -> Watch {
        Watch { has_others, ..self }
    }

    /// The ranks were asked to end: they have as long from now on as without progress, and the grace of all that is to end.
    pub(crate) fn ranks_are_asked(&mut self, now: Instant) {
        self.asked.get_or_insert(now);
    }

    /// What a rank that runs does, for how long, and whether its process is stopped; nothing for one that moved within the
    /// last second, or of which nothing can be known. `state` is as in [`Watch::look`].
    pub(crate) fn standing(&mut self, rank: u32, now: Instant, state: char) -> Option<String> {
        let has_records = self.ranks.iter().any(|watched| watched.seen.is_some());
        let watched = self.ranks.iter_mut().find(|watched| watched.rank == rank)?;
        watched.look(now);
        let sitting = watched.sitting(now, state);
        let is_known = watched.seen.is_some() || has_records;
        let stands = sitting.is_stopped() || (is_known && sitting.silence >= A_MOMENT);
        stands.then(|| sitting.describe())
    }

    /// Where a rank was seen last.
    pub(crate) fn place(&mut self, rank: u32) -> Option<String> {
        let watched = self.ranks.iter_mut().find(|watched| watched.rank == rank)?;
        watched.look(Instant::now());
        Some(format!("it was last seen at: {}", watched.seen.as_ref()?.place()))
    }

    /// Looks, when it is time. `state` is the letter of `/proc` of a rank that runs, and nothing for one that has ended.
    pub(crate) fn look(
        &mut self,
        now: Instant,
        state: impl Fn(u32) -> Option<char>,
    ) -> Option<Alarm> {
        if now < self.next {
            return None;
        }
        self.next = now + EVERY;
        let mut still: Vec<Sitting> = Vec::new();
        for watched in &mut self.ranks {
            let Some(state) = state(watched.rank) else { continue };
            watched.look(now);
            still.push(watched.sitting(now, state));
        }
        // A rank without a word counts only once others, which have one, wait for it.
        let told = still.iter().filter(|sitting| sitting.seen.is_some());
        let longest = told.map(|sitting| sitting.silence).max().unwrap_or_default();
        if longest < self.patience.hang_warning {
            self.next_warning = self.patience.hang_warning;
            return None;
        }
        still.retain(|sitting| sitting.silence * 2 >= self.patience.hang_warning);
        let is_for_others = self.has_others && !knows_the_odd_one(&still);
        let for_others = if is_for_others { OTHERS_WORD } else { Duration::ZERO };
        let (is_asked, timeout) = (self.asked.is_some(), self.timeout(&still));
        let has_time = self.asked.is_some_and(|asked| {
            now.saturating_duration_since(asked) < timeout + self.patience.grace
        });
        if longest >= timeout + for_others && !has_time {
            return Some(Alarm::End(failure(&still, self.has_others)));
        }
        if longest < self.next_warning {
            return None;
        }
        while self.next_warning <= longest {
            self.next_warning *= 2;
        }
        let (head, details) = (headline(&still, self.has_others), details(&still));
        let seconds = timeout.as_secs_f64();
        let end = if timeout > self.patience.hang_timeout {
            format!("the run is over, its hooks have {seconds} s for what is left to do")
        } else if is_asked {
            let grace = self.patience.grace.as_secs_f64();
            format!(
                "the job was asked to end, and is ended {seconds} s (--hang-timeout) and {grace} s (--grace) after that"
            )
        } else {
            format!("the job is ended when nothing moves for {seconds} s (--hang-timeout)")
        };
        let lines = details.into_iter().chain([end]).map(|line| format!("\n    {line}"));
        Some(Alarm::Warning(std::iter::once(head).chain(lines).collect()))
    }

    /// For how long these may stand still.
    fn timeout(&self, still: &[Sitting]) -> Duration {
        match still.iter().all(Sitting::is_over) {
            true => self.patience.hang_timeout.max(LAST_WORK),
            false => self.patience.hang_timeout,
        }
    }
}

impl Watched {
    fn look(&mut self, now: Instant) {
        // Not there yet, or not written whole yet.
        let Ok(record) = Record::read(&self.record) else { return };
        if self.seen.as_ref() != Some(&record) {
            self.seen = Some(record);
            self.since = now;
        }
    }

    fn sitting(&self, now: Instant, state: char) -> Sitting {
        let silence = now.saturating_duration_since(self.since);
        Sitting { rank: self.rank, seen: self.seen.clone(), silence, state }
    }
}

/// A rank that does not move.
struct Sitting {
    rank: u32,
    seen: Option<Record>,
    silence: Duration,
    state: char,
}

impl Sitting {
    fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// Whether it is still at work although the run is over.
    fn is_over(&self) -> bool {
        !self.is_stopped() && self.seen.as_ref().is_some_and(|seen| seen.is_over)
    }

    fn describe(&self) -> String {
        let state = match self.state {
            'T' | 't' => "; its process is stopped (kill -CONT lets it go on)",
            'D' => "; its process waits in the kernel, for a disk or a device",
            'Z' => "; its process has ended",
            _ => "",
        };
        let place = self.seen.as_ref().map_or("no word from it yet".to_owned(), Record::place);
        format!("rank {}: {place} for {:.0} s{state}", self.rank, self.silence.as_secs_f64())
    }

    /// How far it came: a rank for which others wait came less far.
    fn progress(&self) -> (bool, Option<(u8, u64, u64)>, bool) {
        let is_in_hook = self.seen.as_ref().is_some_and(|seen| seen.hook.is_some());
        (!self.is_stopped(), self.seen.as_ref().map(Record::progress), !is_in_hook)
    }
}

/// The rank for which the others wait, if one differs from them.
fn odd_one(still: &[Sitting]) -> Option<&Sitting> {
    let least = still.iter().min_by_key(|sitting| sitting.progress())?;
    let is_alone =
        still.iter().filter(|sitting| sitting.progress() == least.progress()).count() == 1;
    is_alone.then_some(least)
}

/// Several that came less far than others; none where all came equally far.
fn behind(still: &[Sitting]) -> Vec<String> {
    let least = still.iter().map(Sitting::progress).min();
    let (last, others): (Vec<_>, Vec<_>) =
        still.iter().partition(|sitting| Some(sitting.progress()) == least);
    let numbers = last.iter().map(|sitting| sitting.rank.to_string());
    if others.is_empty() { Vec::new() } else { numbers.collect() }
}

/// Whether the rank for which the others wait is sure to be one of these; a single one may wait for other machines.
fn knows_the_odd_one(still: &[Sitting]) -> bool {
    let is_in_hook = |odd: &Sitting| odd.seen.as_ref().is_some_and(|seen| seen.hook.is_some());
    odd_one(still).is_some_and(|odd| still.len() > 1 || odd.is_stopped() || is_in_hook(odd))
}

fn headline(still: &[Sitting], has_others: bool) -> String {
    let longest = still.iter().map(|sitting| sitting.silence).max().unwrap_or_default();
    let seconds = longest.as_secs_f64();
    match odd_one(still) {
        Some(odd) if still.len() > 1 => {
            format!("no progress for {seconds:.0} s, the odd one is {}", odd.describe())
        }
        Some(only) => format!("no progress for {seconds:.0} s: {}", only.describe()),
        None if !behind(still).is_empty() => format!(
            "no progress for {seconds:.0} s, ranks {} came less far than the others",
            behind(still).join(", ")
        ),
        None if has_others => format!(
            "no progress for {seconds:.0} s, all ranks of this machine sit at the same place (look at the other machines \
             and the network)"
        ),
        None => format!(
            "no progress for {seconds:.0} s, all ranks sit at the same place (a hook or model that exchanges something on \
             some ranks alone, perhaps, or a device that does not answer)"
        ),
    }
}

/// Every rank in a line of its own, where there are several.
fn details(still: &[Sitting]) -> Vec<String> {
    if still.len() < 2 {
        return Vec::new();
    }
    still.iter().map(Sitting::describe).collect()
}

fn failure(still: &[Sitting], has_others: bool) -> Failure {
    Failure { summary: headline(still, has_others), details: details(still), code: FAILED }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snaphook_heartbeat::{Heartbeat, Starting, WORDS};
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A rank whose record is written by the test.
    struct Rank {
        words: &'static [AtomicU64],
        heartbeat: Heartbeat,
        path: PathBuf,
    }

    impl Rank {
        fn new(folder: &Path, number: u32) -> Rank {
            let words: &'static [AtomicU64] =
                Box::leak((0..WORDS).map(|_| AtomicU64::new(0)).collect());
            let heartbeat = Heartbeat::over(words).unwrap();
            heartbeat.name_hook(0, "SlowHook");
            heartbeat.name_point(0, "after_train_iter");
            heartbeat.name_phase(3, "backward");
            let rank = Rank { words, heartbeat, path: folder.join(format!("rank_{number}")) };
            rank.write();
            rank
        }

        fn write(&self) {
            let words = self.words.iter().map(|word| word.load(Ordering::Relaxed).to_le_bytes());
            std::fs::write(&self.path, words.collect::<Vec<_>>().concat()).unwrap();
        }
    }

    fn patience() -> Patience {
        let seconds = Duration::from_secs;
        Patience {
            grace: seconds(1),
            hang_warning: seconds(10),
            hang_timeout: seconds(100),
            join: seconds(1),
            peers: seconds(1),
        }
    }

    fn watch(folder: &Path, begin: Instant) -> (Vec<Rank>, Watch) {
        let ranks: Vec<Rank> = (0..3).map(|number| Rank::new(folder, number)).collect();
        let files = ranks.iter().zip(0..).map(|(rank, number)| (number, rank.path.clone()));
        let watch = Watch::new(files.collect::<Vec<_>>(), patience(), begin);
        (ranks, watch)
    }

    #[test]
    fn the_rank_for_which_the_others_wait_is_named_and_then_ends_the_job() {
        let folder = tempfile::tempdir().unwrap();
        let begin = Instant::now();
        let (ranks, mut watch) = watch(folder.path(), begin);
        for (number, rank) in ranks.iter().enumerate() {
            rank.heartbeat.enter_iteration(2, 8);
            rank.heartbeat.enter_hook(0, 0, 1, 7);
            if number != 1 {
                rank.heartbeat.leave_hook();
                rank.heartbeat.enter_phase(3);
            }
            rank.write();
        }
        let runs = |_| Some('S');
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(watch.look(at(1), runs), None);
        assert_eq!(watch.look(at(9), runs), None);
        let Some(Alarm::Warning(text)) = watch.look(at(12), runs) else { panic!() };
        let odd = "no progress for 11 s, the odd one is rank 1: SlowHook at after_train_iter (epoch 2, iteration 8)";
        assert!(text.starts_with(odd), "{text}");
        assert!(text.contains("rank 2: phase backward (epoch 2, iteration 8) for 11 s"), "{text}");
        assert_eq!(
            watch.look(at(13), runs),
            None,
            "told once, and again when the time has doubled"
        );
        assert!(matches!(watch.look(at(22), runs), Some(Alarm::Warning(_))));
        let Some(Alarm::End(failure)) = watch.look(at(102), runs) else { panic!() };
        assert!(failure.summary.contains("rank 1: SlowHook"), "{failure:?}");
        assert_eq!(failure.code, FAILED);
    }

    #[test]
    fn a_machine_without_an_odd_rank_waits_for_the_word_of_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let begin = Instant::now();
        let (ranks, watch) = watch(folder.path(), begin);
        let mut watch = watch.beside_others(true);
        for rank in &ranks {
            rank.heartbeat.enter_iteration(2, 8);
            rank.heartbeat.enter_phase(3);
            rank.write();
        }
        let runs = |_| Some('S');
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(watch.look(at(1), runs), None);
        assert!(matches!(watch.look(at(101), runs), Some(Alarm::Warning(_))));
        assert_eq!(watch.look(at(102), runs), None);
        assert!(matches!(watch.look(at(105), runs), Some(Alarm::End(_))));
        // A stopped one is the odd one, and is told at once.
        let (_, watch) = self::watch(folder.path(), begin);
        let mut watch = watch.beside_others(true);
        let stopped = |rank| Some(if rank == 2 { 'T' } else { 'S' });
        assert_eq!(watch.look(at(1), stopped), None);
        let Some(Alarm::End(failure)) = watch.look(at(102), stopped) else { panic!() };
        assert!(failure.summary.contains("the odd one is rank 2"), "{failure:?}");
    }

    #[test]
    fn ranks_of_one_machine_that_sit_at_the_same_place_are_not_sent_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let begin = Instant::now();
        let (ranks, mut watch) = watch(folder.path(), begin);
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(watch.look(at(1), |_| Some('S')), None);
        let Some(Alarm::End(failure)) = watch.look(at(102), |_| Some('S')) else { panic!() };
        assert!(failure.summary.contains("all ranks sit at the same place"), "{failure:?}");
        assert!(!failure.summary.contains("machine"), "{failure:?}");
        // Neither is this one place.
        ranks[2].heartbeat.enter_iteration(1, 1);
        ranks[2].write();
        assert!(watch.look(at(103), |_| Some('S')).is_some());
        let Some(Alarm::End(failure)) = watch.look(at(204), |_| Some('S')) else { panic!() };
        let words = "ranks 0, 1 came less far than the others";
        assert!(failure.summary.contains(words), "{failure:?}");
    }

    #[test]
    fn hooks_of_a_run_that_is_over_have_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let begin = Instant::now();
        let (ranks, mut watch) = watch(folder.path(), begin);
        let at = |seconds| begin + Duration::from_secs(seconds);
        ranks[1].heartbeat.name_point(1, "after_run");
        ranks[1].heartbeat.enter_hook(0, 1, 2, 8);
        ranks[1].write();
        // The others wait for it, and show that they do.
        let mut look = |seconds, state| {
            for rank in [0, 2] {
                ranks[rank].heartbeat.enter_phase(0);
                ranks[rank].write();
            }
            watch.look(at(seconds), |rank| Some(if rank == 1 { state } else { 'S' }))
        };
        assert_eq!(look(1, 'S'), None);
        let Some(Alarm::Warning(text)) = look(102, 'S') else { panic!() };
        assert!(text.contains("rank 1: SlowHook at after_run"), "{text}");
        assert!(text.contains("the run is over, its hooks have 86400 s"), "{text}");
        assert!(matches!(look(86_400, 'S'), Some(Alarm::Warning(_))));
        assert!(matches!(look(86_401, 'T'), Some(Alarm::End(_))), "it cannot get on");
        assert!(matches!(look(86_402, 'S'), Some(Alarm::End(_))));
    }

    #[test]
    fn ranks_that_were_asked_to_end_have_time_to_save() {
        let folder = tempfile::tempdir().unwrap();
        let begin = Instant::now();
        let (_ranks, mut watch) = watch(folder.path(), begin);
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(watch.look(at(1), |_| Some('S')), None);
        watch.ranks_are_asked(at(90));
        let Some(Alarm::Warning(text)) = watch.look(at(102), |_| Some('S')) else { panic!() };
        assert!(text.contains("100 s (--hang-timeout) and 1 s (--grace) after that"), "{text}");
        assert!(!matches!(watch.look(at(190), |_| Some('S')), Some(Alarm::End(_))));
        assert!(matches!(watch.look(at(192), |_| Some('S')), Some(Alarm::End(_))));
    }

    #[test]
    fn a_stopped_rank_is_the_odd_one_wherever_it_sits() {
        let folder = tempfile::tempdir().unwrap();
        let begin = Instant::now();
        let (_, mut watch) = watch(folder.path(), begin);
        let stopped = |rank| Some(if rank == 2 { 'T' } else { 'S' });
        assert_eq!(watch.look(begin + Duration::from_secs(1), stopped), None);
        let Some(Alarm::Warning(text)) = watch.look(begin + Duration::from_secs(12), stopped)
        else {
            panic!()
        };
        assert!(text.contains("odd one is rank 2: starting") && text.contains("stopped"), "{text}");
    }

    #[test]
    fn a_rank_that_does_not_join_is_the_odd_one_with_a_record_or_without() {
        for has_record in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let begin = Instant::now();
            let (ranks, mut watch) = watch(folder.path(), begin);
            for rank in [0, 2] {
                ranks[rank].heartbeat.enter_start(Starting::Joining);
                ranks[rank].write();
            }
            if !has_record {
                std::fs::remove_file(&ranks[1].path).unwrap();
            }
            let at = |seconds| begin + Duration::from_secs(seconds);
            assert_eq!(watch.look(at(1), |_| Some('S')), None);
            let Some(Alarm::Warning(text)) = watch.look(at(12), |_| Some('S')) else { panic!() };
            let doing = if has_record { "starting" } else { "no word from it yet" };
            assert!(text.contains(&format!("the odd one is rank 1: {doing} for ")), "{text}");
            assert!(
                text.contains("rank 0: waiting for the other ranks to come for 11 s"),
                "{text}"
            );
            let Some(Alarm::End(failure)) = watch.look(at(102), |_| Some('S')) else { panic!() };
            assert!(failure.summary.contains("rank 1: "), "{failure:?}");
        }
    }

    #[test]
    fn a_rank_that_stands_still_is_described_and_one_that_moves_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let begin = Instant::now();
        let (_ranks, mut watch) = watch(folder.path(), begin);
        let at = |tenths: u64| begin + Duration::from_millis(100 * tenths);
        assert_eq!(watch.look(at(5), |_| Some('S')), None);
        assert_eq!(watch.standing(1, at(10), 'S'), None);
        assert_eq!(watch.standing(1, at(35), 'S').unwrap(), "rank 1: starting for 3 s");
        let stopped = watch.standing(2, at(6), 'T').unwrap();
        assert!(stopped.contains("its process is stopped"), "{stopped}");
        let nowhere = [(0, folder.path().join("none"))];
        let mut unknown = Watch::new(nowhere, patience(), begin);
        assert_eq!(unknown.standing(0, at(50), 'S'), None);
    }

    #[test]
    fn ranks_that_move_have_ended_or_write_no_record_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let begin = Instant::now();
        let (ranks, mut watch) = watch(folder.path(), begin);
        std::fs::remove_file(&ranks[2].path).unwrap();
        for step in 1..40 {
            ranks[0].heartbeat.leave_hook();
            ranks[0].write();
            let state = |rank| (rank != 1).then_some('R');
            assert_eq!(watch.look(begin + Duration::from_secs(step * 5), state), None);
        }
        assert_eq!(watch.place(0).unwrap(), "it was last seen at: starting");
        assert_eq!(watch.place(2), None);
    }
}
