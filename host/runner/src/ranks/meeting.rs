//! Where ranks meet: before anything that all must do alike, each tells what it has come for, so that a hook which calls a
//! service on one rank alone is named, and what it hands over is never taken for what another rank means. Knows nothing of
//! what ranks do then.
//!
//! A meeting is one exchange of a few numbers, an all-to-all, which nothing else in a run is: other collectives of the engine,
//! that a rank may be in meanwhile, are not mixed up with it, and the ranks wait for each other until the timeout.

use std::borrow::Cow;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use serde_json::{Value as Json, json};
use snaphook_c10d::{Group, Work};
use tch::Tensor;

use super::Ranks;
use crate::RunError;

/// What ranks do together between collectives of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Before the first iteration.
    Start,
    /// Between two iterations.
    Iteration,
    /// When an epoch is over.
    Epoch,
    /// Within a validation or test.
    Evaluation,
    /// When the run is over.
    End,
}

impl Occasion {
    fn words(self) -> &'static str {
        match self {
            Occasion::Start => "at the start of the run",
            Occasion::Iteration => "between two iterations",
            Occasion::Epoch => "at the end of an epoch",
            Occasion::Evaluation => "in an evaluation",
            Occasion::End => "at the end of the run",
        }
    }
}

/// How many numbers a rank brings besides what it has come for.
const FLAGS: usize = 4;
pub(super) type Flags = [f64; FLAGS];
/// The flag of a rank that has failed.
pub(super) const FAILED: usize = 0;

/// A meeting that has begun.
pub(super) struct Opened {
    work: Work,
    told: Tensor,
}

impl Opened {
    fn begin(group: &Group, purpose: &str, flags: Flags) -> Result<Opened, RunError> {
        let own: Vec<f64> = flags.into_iter().chain([mark(purpose)]).collect();
        let (told, work) =
            group.start_all_to_all(&Tensor::from_slice(&own.repeat(group.size())))?;
        Ok(Opened { work, told })
    }

    /// Whether all have come.
    pub(super) fn is_complete(&self) -> bool {
        self.work.is_completed()
    }

    /// The numbers of all ranks, by rank, each with the mark of its purpose.
    fn end(self) -> Result<Vec<[f64; FLAGS + 1]>, RunError> {
        self.work.wait()?;
        let length = self.told.numel();
        let mut numbers = vec![0.0; length];
        self.told.copy_data(&mut numbers, length);
        Ok(numbers.as_chunks().0.to_vec())
    }
}

/// One number for a text, which f64 holds exactly.
fn mark(purpose: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    purpose.hash(&mut hasher);
    (hasher.finish() >> 12) as f64
}

impl Ranks {
    /// Meets the others on this occasion; returns everybody's flags, by rank. `failure` is told where ranks have come for
    /// different things.
    ///
    /// Errors: they have; a rank that is gone or does not come.
    pub(super) fn meet(
        &mut self,
        occasion: Occasion,
        flags: Flags,
        failure: Option<String>,
    ) -> Result<Vec<Flags>, RunError> {
        self.meet_for(occasion.words().into(), flags, failure)
    }

    /// Before a service that a hook has called: `SumHook at after_train_iter called all_reduce_mean of 4 numbers`. What fails
    /// from now until [`Ranks::part`] fails there.
    ///
    /// Errors: as [`Ranks::meet`]; another rank that has failed.
    pub(crate) fn meet_for_hook(&mut self, purpose: String) -> Result<(), RunError> {
        self.meet_for(purpose.clone().into(), Flags::default(), None)?;
        self.doing = Some(purpose.into());
        Ok(())
    }

    /// The service of a hook is over.
    pub(crate) fn part(&mut self) {
        self.doing = None;
    }

    /// Begins to wait for the others, in the background.
    ///
    /// Errors: a rank that is gone.
    pub(super) fn begin_meeting(
        &mut self,
        group: &Group,
        occasion: Occasion,
    ) -> Result<Opened, RunError> {
        self.doing = Some(occasion.words().into());
        Opened::begin(group, occasion.words(), Flags::default())
    }

    /// Ends what [`Ranks::begin_meeting`] began.
    ///
    /// Errors: as [`Ranks::meet`].
    pub(super) fn end_meeting(
        &mut self,
        group: &Group,
        (opened, occasion): (Opened, Occasion),
    ) -> Result<(), RunError> {
        let told = opened.end()?;
        self.compare(group, &told, occasion.words(), None).map(drop)
    }

    fn meet_for(
        &mut self,
        purpose: Cow<'static, str>,
        flags: Flags,
        failure: Option<String>,
    ) -> Result<Vec<Flags>, RunError> {
        let Some(group) = self.group.clone() else { return Ok(vec![flags]) };
        if let Some(apart) = &self.apart {
            // A hook was told, and has kept it to itself.
            return Err(apart.error());
        }
        self.doing = Some(purpose.clone());
        let told = Opened::begin(&group, &purpose, flags)?.end()?;
        self.compare(&group, &told, &purpose, failure)
    }

    /// Whether all have come for the same; the flags then. All ranks hear the same numbers, so that all find out.
    fn compare(
        &mut self,
        group: &Group,
        told: &[[f64; FLAGS + 1]],
        purpose: &str,
        failure: Option<String>,
    ) -> Result<Vec<Flags>, RunError> {
        let marks = told.iter().map(|numbers| numbers[FLAGS].to_bits());
        if marks.clone().all(|mark| Some(mark) == marks.clone().next()) {
            self.doing = None;
            return Ok(told.iter().map(|numbers| std::array::from_fn(|at| numbers[at])).collect());
        }
        let own = json!([purpose, failure]).to_string();
        let all = group.all_gather_bytes(own.as_bytes())?;
        let read = |bytes: &Vec<u8>| serde_json::from_slice(bytes).unwrap_or_default();
        let all: Vec<Json> = all.iter().map(read).collect();
        // Nobody is waited for any more.
        self.is_agreed = true;
        group.give_up();
        Err(self.apart.insert(Apart::of(&all)).error())
    }
}

/// What ranks found out that had come for different things.
#[derive(Clone, Debug)]
pub(super) struct Apart {
    /// One that has failed, which is the reason then.
    failed: Option<usize>,
    message: String,
}

impl Apart {
    /// Of the purpose and the failure of each rank.
    fn of(all: &[Json]) -> Apart {
        let failed = all.iter().position(|told| told[1].is_string());
        let message = match failed {
            Some(rank) => all[rank][1].as_str().unwrap_or_default().to_owned(),
            None => {
                let purpose = |told: &Json| told[0].as_str().map(str::to_owned);
                let places = places(&all.iter().map(purpose).collect::<Vec<_>>());
                let is_hook = places.contains(CALLED);
                format!("{places}{}", if is_hook { ADVICE } else { "" })
            }
        };
        Apart { failed, message }
    }

    fn error(&self) -> RunError {
        let message = self.message.clone();
        match self.failed {
            Some(rank) => RunError::OtherRank { rank, message },
            None => RunError::Apart { message },
        }
    }
}

/// In the purpose of a hook.
pub(crate) const CALLED: &str = " called ";
const ADVICE: &str =
    " (a hook must call what distributed() has for all ranks on each of them, at the same point)";

/// `rank 0: SumHook at after_train_iter called barrier; ranks 1, 2, 3: between two iterations`; ranks of which nothing is known
/// are left out.
pub(super) fn places(all: &[Option<String>]) -> String {
    const SHOWN: usize = 8;
    let mut places: Vec<(&str, Vec<String>)> = Vec::new();
    for (rank, place) in all.iter().enumerate() {
        let Some(place) = place else { continue };
        match places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, ranks)) => ranks.push(rank.to_string()),
            None => places.push((place, vec![rank.to_string()])),
        }
    }
    let told = |(place, ranks): (&str, Vec<String>)| match ranks.as_slice() {
        [rank] => format!("rank {rank}: {place}"),
        ranks if ranks.len() <= SHOWN => format!("ranks {}: {place}", ranks.join(", ")),
        ranks => format!("ranks {}, … ({} ranks): {place}", ranks[..SHOWN].join(", "), ranks.len()),
    };
    places.into_iter().map(told).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_with_their_ranks() {
        let place = |text: &str| Some(text.to_owned());
        let all = [place("at a"), place("at b"), None, place("at b")];
        assert_eq!(places(&all), "rank 0: at a; ranks 1, 3: at b");
        let many = vec![place("at a"); 12];
        assert_eq!(places(&many), "ranks 0, 1, 2, 3, 4, 5, 6, 7, … (12 ranks): at a");
    }

    #[test]
    fn purposes_have_marks_of_their_own() {
        assert_eq!(mark("one"), mark("one"));
        assert_ne!(mark("one"), mark("other"));
        assert!(mark("one") < 2f64.powi(52));
    }
}
