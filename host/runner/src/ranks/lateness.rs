//! Who was late where ranks lost each other, and where a rank was seen last that does not answer. Knows nothing of how ranks
//! hear of each other.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};
use snaphook_c10d::{Failure, Group};
use snaphook_heartbeat::{Presence, Record, Stay, Stays};

/// Between a long stay and the meeting that a rank came late to, for whatever else it did.
const A_MOMENT: Duration = Duration::from_secs(5);

/// The records of the ranks on this machine: `rank_N.heartbeat` in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// The folder.
    pub folder: PathBuf,
    /// The ranks whose processes run here.
    pub ranks: Range<usize>,
}

impl Records {
    /// `rank 1 was seen last: SlowHook at after_train_iter (epoch 1, iteration 4); its process is stopped`.
    pub(super) fn last_seen(&self, rank: usize) -> Option<String> {
        let path = self.folder.join(format!("rank_{rank}.heartbeat"));
        let record = self.ranks.contains(&rank).then(|| Record::read(&path).ok())??;
        let state = match record.presence() {
            Presence::Stopped => "; its process is stopped (kill -CONT lets it go on)",
            Presence::Ended => "; its process has ended",
            Presence::Runs | Presence::Elsewhere => "",
        };
        Some(format!("rank {rank} was seen last: {}{state}", record.place()))
    }
}

/// How a rank came to the meeting that failed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Coming {
    /// Seconds that it had been there.
    waited: f64,
    /// Whether its time was up.
    is_timeout: bool,
    /// What it did before, if that took long.
    stay: Option<String>,
}

impl Coming {
    /// Of this rank; `None` where no meeting has failed.
    pub(super) fn own(group: &Group, stays: Option<&Stays>) -> Option<Coming> {
        let error = group.broken_by()?;
        let stay = recent(stays, error.waited()).map(|stay| stay.describe());
        let is_timeout = error.failure() == Failure::Timeout;
        Some(Coming { waited: error.waited().as_secs_f64(), is_timeout, stay })
    }

    pub(super) fn to_json(&self) -> Json {
        json!({ "waited": self.waited, "is_timeout": self.is_timeout, "stay": self.stay })
    }

    pub(super) fn of_json(told: &Json) -> Option<Coming> {
        let waited = told["waited"].as_f64()?;
        let stay = told["stay"].as_str().map(str::to_owned);
        Some(Coming { waited, is_timeout: told["is_timeout"] == true, stay })
    }
}

/// The stay that kept a rank from a meeting in which it has been for `waited`.
fn recent(stays: Option<&Stays>, waited: Duration) -> Option<Stay> {
    stays?.last().filter(|stay| stay.ended.elapsed() <= waited + A_MOMENT)
}

/// What this rank did where it alone can tell, since the others have ended: nobody waits longer for a rank than `timeout`.
pub(super) fn own_lateness(group: &Group, stays: Option<&Stays>) -> Option<String> {
    let error = group.broken_by()?;
    let stay = recent(stays, error.waited())?;
    let is_late = error.failure() != Failure::Timeout && stay.time * 2 >= group.timeout();
    is_late.then(|| stay.describe())
}

/// The rank that came last, by rank, and what it did; none where no rank waited until its time was up, or all waited about
/// as long.
pub(super) fn late_rank(all: &[Option<Coming>]) -> Option<(usize, String)> {
    let known =
        || all.iter().enumerate().filter_map(|(rank, coming)| Some((rank, coming.as_ref()?)));
    if !known().any(|(_, coming)| coming.is_timeout) {
        return None;
    }
    let longest = known().map(|(_, coming)| coming.waited).fold(0.0, f64::max);
    let (rank, last) = known().min_by(|one, other| one.1.waited.total_cmp(&other.1.waited))?;
    let late = longest - last.waited;
    if last.is_timeout || late < longest / 2.0 {
        return None;
    }
    let doing = last.stay.clone();
    Some((rank, doing.unwrap_or_else(|| format!("it came {late:.1} s after the first"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coming(waited: f64, is_timeout: bool, stay: Option<&str>) -> Option<Coming> {
        Some(Coming { waited, is_timeout, stay: stay.map(str::to_owned) })
    }

    #[test]
    fn the_rank_that_came_last_was_late() {
        let slow = "34 s in SlowHook at after_train_iter (epoch 1, iteration 12)";
        // Rank 2 waited, too, until rank 0 closed its connections.
        let all = [
            coming(30.0, true, None),
            coming(0.01, false, Some(slow)),
            coming(29.0, false, Some("2 s in phase data (epoch 1, iteration 12)")),
        ];
        assert_eq!(late_rank(&all), Some((1, slow.to_owned())));
        let unknown = [coming(30.0, true, None), coming(1.0, false, None), None];
        let words = "it came 29.0 s after the first";
        assert_eq!(late_rank(&unknown), Some((1, words.to_owned())));
    }

    #[test]
    fn nobody_was_late_where_the_network_broke() {
        let both = [coming(30.0, true, None), coming(29.0, false, Some("31 s in …"))];
        assert_eq!(late_rank(&both), None);
        let at_once = [coming(2.0, false, None), coming(0.0, false, Some("31 s in …"))];
        assert_eq!(late_rank(&at_once), None);
        assert_eq!(late_rank(&[None, None]), None);
    }

    #[test]
    fn what_a_rank_tells_of_its_coming_arrives() {
        for told in [coming(0.5, true, None), coming(1e-3, false, Some("1 s in phase data (…)"))]
        {
            let told = told.unwrap();
            assert_eq!(Coming::of_json(&told.to_json()), Some(told));
        }
        assert_eq!(Coming::of_json(&Json::Null), None);
    }
}
