//! What ranks agree upon between two iterations, so that all go on or all end: one small exchange where there is more
//! than one rank.

use serde_json::{Value as Json, json};
use snaphook_c10d::Group;

use super::Ranks;
use super::meeting::{FAILED, Occasion};
use crate::RunError;

/// What a rank brings to the meeting.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    /// The signal that asked this process to end.
    pub(crate) signal: Option<usize>,
    /// Why training is to stop, from a hook.
    pub(crate) stop: Option<String>,
    /// Whether a hook wants a validation.
    pub(crate) validation: bool,
}

impl Ranks {
    /// Makes the failure, the signal, the stop request and the wish for a validation of any rank those of all.
    ///
    /// `over` is how what this rank did before ended. Errors: that failure; one of another rank; an interrupt; a rank that
    /// is gone, or has come for something else.
    pub(crate) fn agree(
        &mut self,
        occasion: Occasion,
        over: Result<(), RunError>,
        wishes: Wishes,
    ) -> Result<Wishes, RunError> {
        let Some(group) = self.group.clone() else { return alone(over, wishes) };
        if group.is_broken() && over.is_err() {
            // Nobody can be met any more, and what failed first says where.
            return over.map(|()| wishes);
        }
        group.check()?;
        let flag = |is_set: bool| f64::from(u8::from(is_set));
        let (failed, asked) = (flag(over.is_err()), flag(wishes.signal.is_some()));
        let own = [failed, asked, flag(wishes.stop.is_some()), flag(wishes.validation)];
        let met = self.meet(occasion, own, over.as_ref().err().map(chain));
        if self.apart.is_some() {
            // What failed here comes before what it did to the others.
            over?;
            return met.map(|_| wishes);
        }
        let met = met?;
        let any = |flag: usize| met.iter().any(|flags| flags[flag] > 0.0);
        let validation = any(3);
        if ![FAILED, 1, 2].into_iter().any(any) {
            return Ok(Wishes { validation, ..Wishes::default() });
        }
        let is_failed = any(FAILED);
        let words = Words::exchange(&group, &over, &wishes)?;
        if is_failed {
            self.is_agreed = true;
            over?;
            let (rank, message) = words.first("failure").unwrap_or_default();
            return Err(RunError::OtherRank { rank, message });
        }
        if let Some((_, signal)) = words.first_number("signal") {
            self.is_agreed = true;
            return Err(RunError::Interrupted { signal });
        }
        let stop = words.first("stop").map(|(rank, reason)| match rank == self.rank() {
            true => reason,
            false => format!("{reason} (rank {rank})"),
        });
        Ok(Wishes { signal: None, stop, validation })
    }

    /// Ends on all ranks what failed on one.
    ///
    /// Errors: as [`Ranks::agree`].
    pub(crate) fn agree_on<T>(
        &mut self,
        occasion: Occasion,
        result: Result<T, RunError>,
    ) -> Result<T, RunError> {
        if self.group.is_none() {
            return result;
        }
        let (signal, over, value) = match result {
            Ok(value) => (None, Ok(()), Some(value)),
            Err(RunError::Interrupted { signal }) => (Some(signal), Ok(()), None),
            Err(error) => (None, Err(error), None),
        };
        self.agree(occasion, over, Wishes { signal, ..Wishes::default() })?;
        Ok(value.expect("a rank without a value has told a failure or a signal"))
    }
}

fn alone(over: Result<(), RunError>, wishes: Wishes) -> Result<Wishes, RunError> {
    over?;
    match wishes.signal {
        Some(signal) => Err(RunError::Interrupted { signal }),
        None => Ok(wishes),
    }
}

/// What every rank has to say.
struct Words(Vec<Json>);

impl Words {
    fn exchange(
        group: &Group,
        over: &Result<(), RunError>,
        wishes: &Wishes,
    ) -> Result<Words, RunError> {
        let failure = over.as_ref().err().map(chain);
        let own = json!({ "failure": failure, "signal": wishes.signal, "stop": wishes.stop });
        let all = group.all_gather_bytes(own.to_string().as_bytes())?;
        let read = |bytes: &Vec<u8>| serde_json::from_slice(bytes).unwrap_or_default();
        Ok(Words(all.iter().map(read).collect()))
    }

    fn first(&self, key: &str) -> Option<(usize, String)> {
        let mut words = self.0.iter().map(|words| words[key].as_str()).enumerate();
        words.find_map(|(rank, text)| Some((rank, text?.to_owned())))
    }

    fn first_number(&self, key: &str) -> Option<(usize, usize)> {
        let mut words = self.0.iter().map(|words| words[key].as_u64()).enumerate();
        words.find_map(|(rank, number)| Some((rank, number? as usize)))
    }
}

/// An error with its causes in one line.
pub(super) fn chain(error: &RunError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text += &format!(": {cause_text}");
        }
        source = cause.source();
    }
    text
}
