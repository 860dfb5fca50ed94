//! The processes that train together, as a run sees them: who does what alone, what all must agree upon, how gradients
//! and results come together. With one process nothing here costs anything. How processes talk is `snaphook-c10d`'s
//! matter.
//!
//! ```text
//! step        prepare ─► forward ─► backward with the exchange of gradients
//! meeting     all have come for the same: an agreement, or the same service of the same hook
//! boundary    agree: failures, interrupts, stop requests and wishes of any rank become those of all
//! evaluation  each rank its share ─► rank 0 puts them in order and scores ─► all have the metrics
//! end         depart: why this rank leaves, for the others; or why they left, from them
//! ```

mod agreement;
mod departure;
mod evaluation;
mod lateness;
mod meeting;
mod settings;

use std::borrow::Cow;
use std::thread;
use std::time::Duration;

use snaphook_c10d::{Error, Group, ReduceOp, Reducer, ReducerOptions};
use snaphook_heartbeat::{Heartbeat, Stays};
use tch::{Tensor, no_grad};

pub(crate) use agreement::Wishes;
pub(crate) use evaluation::{BatchLosses, Share};
pub use lateness::Records;
use meeting::Apart;
pub(crate) use meeting::{CALLED, Occasion};
pub use settings::RankSettings;

use crate::RunError;
use crate::state::{Layer, ModelState, Role};

/// A process among those that train together.
#[derive(Debug, Default)]
pub struct Ranks {
    group: Option<Group>,
    reducer: Option<Reducer>,
    settings: RankSettings,
    /// Whether all ranks know of the end that comes.
    is_agreed: bool,
    /// What this rank waits for the others for, or does with them for a hook.
    doing: Option<Cow<'static, str>>,
    /// Ranks had come for different things.
    apart: Option<Apart>,
    /// How many ranks read why they have lost each other, where this one asked them.
    readers: Option<usize>,
    /// Where this rank stayed for long.
    stays: Option<Stays>,
    records: Option<Records>,
}

impl Ranks {
    /// The only process.
    pub fn single() -> Ranks {
        Ranks::default()
    }

    /// One of the processes of `group`; with a group of one, the only process.
    pub fn new(group: Option<Group>, settings: RankSettings) -> Ranks {
        let group = group.filter(|group| group.size() > 1);
        Ranks { group, settings, ..Ranks::default() }
    }

    /// This process' number, from 0.
    pub fn rank(&self) -> usize {
        self.group.as_ref().map_or(0, Group::rank)
    }

    /// How many processes there are.
    pub fn world(&self) -> usize {
        self.group.as_ref().map_or(1, Group::size)
    }

    /// Whether this is the process that writes files: rank 0.
    pub fn is_main(&self) -> bool {
        self.rank() == 0
    }

    /// Whether there is more than one process.
    pub fn are_many(&self) -> bool {
        self.group.is_some()
    }

    /// Whether the group is of no use any more: this rank has failed by itself, or lost others.
    pub(crate) fn is_parted(&self) -> bool {
        self.group.as_ref().is_some_and(Group::is_broken)
    }

    /// Where several ranks run, watches where this one stays for long, as its record shows it.
    pub(crate) fn watch(&mut self, heartbeat: Heartbeat) {
        if self.are_many() && self.stays.is_none() {
            self.stays = Stays::watch(heartbeat);
        }
    }

    /// From now on the records of ranks on this machine tell where those were seen that do not answer.
    pub fn read_records(&mut self, records: Records) {
        self.records = Some(records);
    }

    /// The processes, where there is more than one.
    pub(crate) fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    /// What torch's generator is seeded with on this rank.
    pub(crate) fn draw_seed(&self, seed: u64) -> u64 {
        if self.settings.differs_in_seed { seed + self.rank() as u64 } else { seed }
    }

    /// Gives all ranks the weights of rank 0, and prepares the exchange of gradients.
    ///
    /// Errors: ranks with other models, of which the first parameter that differs is named; a rank that is gone.
    pub(crate) fn start_training(&mut self, state: &ModelState) -> Result<(), Error> {
        let Some(group) = &self.group else { return Ok(()) };
        let trained: Vec<_> = state
            .parameters()
            .filter(|entry| entry.tensor.requires_grad())
            .map(|entry| (entry.name.clone(), entry.tensor.shallow_clone()))
            .collect();
        let options = ReducerOptions {
            find_unused_parameters: self.settings.find_unused_parameters,
            // A resumed run adds up in the order of the run that was not interrupted.
            keep_buckets: true,
            ..ReducerOptions::default()
        };
        // Compares names, kinds and shapes first: broadcasting what differs would hang.
        self.reducer = Some(Reducer::new(group, &trained, options)?);
        share(group, state.entries().iter().map(|entry| &entry.tensor))
    }

    /// Before a forward pass; `exchanges` says whether the gradients of the backward pass become means.
    ///
    /// Errors: a rank that is gone; a parameter that took no part in the pass before.
    pub(crate) fn before_forward(&self, state: &ModelState, exchanges: bool) -> Result<(), Error> {
        let (Some(group), Some(reducer)) = (&self.group, &self.reducer) else { return Ok(()) };
        if exchanges {
            reducer.prepare_forward()?;
        }
        if self.settings.broadcast_buffers {
            let buffers = state.entries().iter().filter(|entry| !entry.is_parameter());
            share(group, buffers.map(|entry| &entry.tensor))?;
        }
        Ok(())
    }

    /// After a forward pass: what failed in it and could not be told there.
    pub(crate) fn after_forward(&self) -> Result<(), Error> {
        self.group.as_ref().and_then(Group::failure).map_or(Ok(()), Err)
    }

    /// The backward pass, with the exchange of gradients or, where they are only added up, without.
    ///
    /// Errors: parameters that took no part in it, which are named; a rank that is gone or does not come; whatever autograd refuses.
    pub(crate) fn backward(&self, loss: &Tensor, exchanges: bool) -> Result<(), Error> {
        match &self.reducer {
            Some(reducer) if exchanges => {
                reducer.prepare_backward(&[loss])?;
                reducer.backward(loss)
            }
            Some(_) => snaphook_c10d::backward(loss),
            None => {
                loss.backward();
                Ok(())
            }
        }
    }

    /// Whether the state of the run may come from an exchange between GPUs that never ended.
    pub(crate) fn is_unsound(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.is_broken() && group.has_nccl())
    }

    /// Whether what GPUs exchanged until now went well, before something of it is kept.
    ///
    /// Errors: a rank that is gone or did not come.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.group.as_ref().map_or(Ok(()), Group::check)
    }

    /// Makes tensors their means over all ranks.
    ///
    /// Errors: a rank that is gone or does not come.
    pub(crate) fn average<'a>(
        &self,
        tensors: impl Iterator<Item = &'a Tensor>,
    ) -> Result<(), Error> {
        let Some(group) = &self.group else { return Ok(()) };
        let tensors: Vec<_> = tensors.filter(|tensor| tensor.is_floating_point()).collect();
        no_grad(|| {
            let flat: Vec<_> = tensors.iter().map(|tensor| tensor.detach().reshape([-1])).collect();
            if flat.is_empty() {
                return Ok(());
            }
            let mut all = Tensor::cat(&flat, 0);
            group.all_reduce(&mut all, ReduceOp::Mean)?;
            let mut offset = 0;
            for tensor in tensors {
                let length = tensor.numel() as i64;
                let mean = all.narrow(0, offset, length).view_as(tensor);
                tensor.detach().copy_(&mean);
                offset += length;
            }
            Ok(())
        })
    }

    /// Makes the state of all normalisation layers the mean over all ranks.
    pub(crate) fn average_norms(&self, state: &ModelState) -> Result<(), Error> {
        let norms = state.entries().iter().filter(|entry| {
            matches!(entry.role, Role::Parameter(Layer::Norm) | Role::Buffer(Layer::Norm))
        });
        self.average(norms.map(|entry| &entry.tensor))
    }

    /// Makes all buffers the mean over all ranks.
    pub(crate) fn average_buffers(&self, state: &ModelState) -> Result<(), Error> {
        let buffers = state.entries().iter().filter(|entry| !entry.is_parameter());
        self.average(buffers.map(|entry| &entry.tensor))
    }

    /// Waits for all ranks at the end of a run that went well: rank 0 keeps the store that the others talk through. Hooks of
    /// one rank may take longer at the end than a collective may, so the others wait for a day, and show by `beat` that they
    /// do not hang. `signal` asked this process to end meanwhile.
    ///
    /// Errors: a rank that is gone or has come for something else; [`RunError::Interrupted`] when a process was asked to end.
    pub(crate) fn finish(
        &mut self,
        signal: Option<usize>,
        mut beat: impl FnMut(),
    ) -> Result<(), RunError> {
        self.reducer = None;
        if let Some(group) = self.group.clone() {
            group.set_timeout(WAIT_AT_THE_END)?;
            let (meeting, mut pause) = (self.begin_meeting(&group, Occasion::End)?, FIRST_PAUSE);
            while !meeting.is_complete() {
                thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
                beat();
            }
            self.end_meeting(&group, (meeting, Occasion::End))?;
        }
        self.agree(Occasion::End, Ok(()), Wishes { signal, ..Wishes::default() }).map(drop)
    }
}

/// How long ranks wait for one whose hooks are still at work when the run is over.
const WAIT_AT_THE_END: Duration = Duration::from_secs(24 * 60 * 60);
/// Between two looks whether all have come.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

fn share<'a>(group: &Group, tensors: impl Iterator<Item = &'a Tensor>) -> Result<(), Error> {
    let tensors: Vec<_> = tensors.map(Tensor::detach).collect();
    group.broadcast_all(&tensors, 0)
}
