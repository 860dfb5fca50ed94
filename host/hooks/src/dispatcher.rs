//! Calls hooks: in order of priority, only those that want the point, with what happens on an error.
//! Knows nothing of what a hook does, nor on which side of the plugin border it lives.

use std::time::{Duration, Instant};

use serde_json::Value as Json;
use snaphook_heartbeat::Heartbeat;
use snaphook_plugin_api::host::{HookInstance, HookSource, LogLevel, Services};
use snaphook_plugin_api::{HookError, HookErrorKind, HookPoint, HookState};

use crate::{HookFault, HookPolicy, OnError, Priority};

/// What hooks work on: the services, and the carrying out of what hooks asked for.
pub trait Host: Services + Sized {
    /// What ends a run.
    type Error: From<Box<HookFault>>;
    /// Whether a hook asked for something that is to be done before the next hook runs.
    fn has_requests(&self) -> bool;
    /// Does it; may call hooks itself (`before_save_checkpoint`).
    fn carry_out(&mut self, hooks: &mut Dispatcher) -> Result<(), Self::Error>;
    /// A hook is about to be called at `point`; for those who must know whose requests come.
    fn hook_called(&mut self, hook: &dyn HookInstance, point: HookPoint) {
        let _ = (hook, point);
    }
    /// A hook was called at `point` and has returned; for those who trace what happens.
    fn hook_returned(&mut self, hook: &dyn HookInstance, point: HookPoint, began: Instant) {
        let _ = (hook, point, began);
    }
    /// Forgets what hooks asked for: the run is ending with an error.
    fn drop_requests(&mut self);
}

/// A hook with its place in the order.
struct Registered {
    hook: Box<dyn HookInstance>,
    priority: Priority,
    policy: HookPolicy,
    /// What the config says of it; null where nobody told.
    arguments: Json,
    is_disabled: bool,
    /// Time and calls at each point.
    spent: [(Duration, u64); HookPoint::ALL.len()],
}

/// One row of a hook listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookRow {
    /// Type name.
    pub type_name: String,
    /// Its priority.
    pub priority: Priority,
    /// `built-in`, or the plugin's name and version.
    pub source: String,
}

/// What a hook cost so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCost {
    /// Which hook.
    pub row: HookRow,
    /// How often it was called.
    pub calls: u64,
    /// Time in it, without what it asked the run to do.
    pub spent: Duration,
    /// The time and the calls at each point at which it was called, the dearest first.
    pub points: Vec<(HookPoint, Duration, u64)>,
}

/// What a checkpoint keeps of a hook.
#[derive(Clone, Debug)]
pub struct SavedHook {
    /// Type name.
    pub type_name: String,
    /// `built-in`, or the plugin's name and version.
    pub source: String,
    /// What the config says of it, which tells hooks of one type apart; null where nobody knows.
    pub arguments: Json,
    /// Its own state.
    pub state: HookState,
}

/// All hooks of a run.
pub struct Dispatcher {
    hooks: Vec<Registered>,
    by_point: [Vec<usize>; HookPoint::ALL.len()],
    heartbeat: Heartbeat,
}

impl Default for Dispatcher {
    fn default() -> Self {
        let by_point = std::array::from_fn(|_| Vec::new());
        Dispatcher { hooks: Vec::new(), by_point, heartbeat: Heartbeat::default() }
    }
}

impl Dispatcher {
    /// Adds a hook; at equal priority it comes after those added before.
    pub fn register(
        &mut self,
        hook: Box<dyn HookInstance>,
        priority: Priority,
        policy: impl Into<HookPolicy>,
    ) {
        let index = self.hooks.len();
        for point in hook.points() {
            let list = &mut self.by_point[point.number() as usize];
            let place = list.partition_point(|other| self.hooks[*other].priority <= priority);
            list.insert(place, index);
        }
        self.heartbeat.name_hook(index, hook.type_name());
        self.hooks.push(Registered {
            hook,
            priority,
            policy: policy.into(),
            arguments: Json::Null,
            is_disabled: false,
            spent: [(Duration::ZERO, 0); HookPoint::ALL.len()],
        });
    }

    /// Notes what the config says of the hook that was added last.
    pub fn note_arguments(&mut self, arguments: Json) {
        if let Some(last) = self.hooks.last_mut() {
            last.arguments = arguments;
        }
    }

    /// From now on writes into this record which hook is being called.
    pub fn beat_into(&mut self, heartbeat: Heartbeat) {
        for (index, registered) in self.hooks.iter().enumerate() {
            heartbeat.name_hook(index, registered.hook.type_name());
        }
        for point in HookPoint::ALL {
            heartbeat.name_point(point.number() as usize, point.name());
        }
        self.heartbeat = heartbeat;
    }

    /// Calls every hook that wants `point`, and carries out what each asked for before the next one runs.
    ///
    /// Errors: of a hook whose policy is [`OnError::Stop`], or of what a hook asked for.
    pub fn call<H: Host>(
        &mut self,
        point: HookPoint,
        batch_idx: Option<u64>,
        host: &mut H,
    ) -> Result<(), H::Error> {
        self.call_from(0, point, batch_idx, host).map_err(|(_, error)| error)
    }

    /// As [`Dispatcher::call`], but after an error the hooks that come later are called all the same, so that they all have
    /// seen the point; what those ask for is not carried out, and their errors are only logged.
    ///
    /// Errors: the first one.
    pub fn call_to_the_end<H: Host>(
        &mut self,
        point: HookPoint,
        batch_idx: Option<u64>,
        host: &mut H,
    ) -> Result<(), H::Error>
    where
        H::Error: std::fmt::Display,
    {
        let Err((mut next, first)) = self.call_from(0, point, batch_idx, host) else {
            return Ok(());
        };
        host.drop_requests();
        while let Err((after, error)) = self.call_one_by_one(next, point, batch_idx, host) {
            host.log(LogLevel::Warn, "", &format!("While the run was ending: {error}"));
            next = after;
        }
        Err(first)
    }

    /// The hooks of a point from a position on, without carrying out what they ask for.
    fn call_one_by_one<H: Host>(
        &mut self,
        from: usize,
        point: HookPoint,
        batch_idx: Option<u64>,
        host: &mut H,
    ) -> Result<(), (usize, H::Error)> {
        for position in from..self.by_point[point.number() as usize].len() {
            let called = self.call_hook(position, point, batch_idx, host, Instant::now());
            host.drop_requests();
            called.map_err(|error| (position + 1, H::Error::from(error)))?;
        }
        Ok(())
    }

    /// The hooks of a point from a position on; an error comes with the position after it.
    fn call_from<H: Host>(
        &mut self,
        from: usize,
        point: HookPoint,
        batch_idx: Option<u64>,
        host: &mut H,
    ) -> Result<(), (usize, H::Error)> {
        let slot = point.number() as usize;
        if self.by_point[slot].len() <= from {
            return Ok(());
        }
        let mut before = Instant::now();
        for position in from..self.by_point[slot].len() {
            let called = self.call_hook(position, point, batch_idx, host, before);
            before = called.map_err(|error| (position + 1, H::Error::from(error)))?;
            if host.has_requests() {
                host.carry_out(self).map_err(|error| (position + 1, error))?;
                before = Instant::now();
            }
        }
        Ok(())
    }

    /// Calls one hook and counts its time, from `before` on; returns the time after it.
    fn call_hook<H: Host>(
        &mut self,
        position: usize,
        point: HookPoint,
        batch_idx: Option<u64>,
        host: &mut H,
        before: Instant,
    ) -> Result<Instant, Box<HookFault>> {
        let index = self.by_point[point.number() as usize][position];
        let registered = &mut self.hooks[index];
        if registered.is_disabled {
            return Ok(before);
        }
        let progress = host.progress();
        let number = point.number() as usize;
        self.heartbeat.enter_hook(index, number, progress.epoch, progress.iter);
        host.hook_called(&*registered.hook, point);
        let result = registered.hook.call(point, batch_idx, host);
        self.heartbeat.leave_hook();
        let after = Instant::now();
        let (took, spent) = (after - before, &mut registered.spent[point.number() as usize]);
        spent.0 += took;
        spent.1 += 1;
        let result = result.and_then(|()| in_time(&registered.policy, took));
        host.hook_returned(&*registered.hook, point, before);
        match result {
            Ok(()) => Ok(after),
            Err(error) => self.fault(index, point, error, host).map(|()| after),
        }
    }

    fn fault(
        &mut self,
        index: usize,
        point: HookPoint,
        error: HookError,
        host: &mut dyn Services,
    ) -> Result<(), Box<HookFault>> {
        let registered = &mut self.hooks[index];
        let progress = host.progress();
        let panicked = error.kind == HookErrorKind::Panic;
        let fault = HookFault {
            hook: label(&*registered.hook),
            point,
            epoch: progress.epoch,
            iter: progress.iter,
            error,
        };
        let on_error = registered.policy.on_error;
        // A run that is ending with an error must not end with another one.
        let must_stop = on_error == OnError::Stop || fault.error.is_fatal();
        if must_stop && point != HookPoint::OnException {
            // Whatever comes on the way to the end does not call it again either.
            registered.is_disabled |= panicked;
            return Err(Box::new(fault));
        }
        registered.is_disabled = on_error == OnError::Disable || panicked;
        let outcome =
            if registered.is_disabled { "it is not called any more" } else { "the run goes on" };
        host.log(LogLevel::Warn, "", &format!("{fault}; {outcome}"));
        Ok(())
    }

    /// The states of all hooks that have one, for a checkpoint. With `is_last_resort` a hook that cannot tell its state is
    /// left out, whatever its policy: what the others say is worth keeping.
    ///
    /// Errors: of a hook whose policy is [`OnError::Stop`].
    pub fn save_states(
        &mut self,
        host: &mut dyn Services,
        is_last_resort: bool,
    ) -> Result<Vec<SavedHook>, Box<HookFault>> {
        let mut states = Vec::new();
        for index in 0..self.hooks.len() {
            let registered = &mut self.hooks[index];
            if registered.is_disabled {
                continue;
            }
            match registered.hook.save_state() {
                Ok(None) => {}
                Ok(Some(state)) => states.push(SavedHook {
                    type_name: registered.hook.type_name().to_owned(),
                    source: source_label(registered.hook.source()),
                    arguments: registered.arguments.clone(),
                    state,
                }),
                Err(error) => match self.fault(index, HookPoint::BeforeSaveCheckpoint, error, host)
                {
                    Err(fault) if is_last_resort => {
                        host.log(LogLevel::Warn, "", &format!("{fault}; its state is not saved"));
                    }
                    result => result?,
                },
            }
        }
        Ok(states)
    }

    /// Gives the hooks their states back; those that no hook of this run has are returned.
    ///
    /// Errors: of a hook whose policy is [`OnError::Stop`].
    pub fn load_states(
        &mut self,
        mut saved: Vec<SavedHook>,
        host: &mut dyn Services,
    ) -> Result<Vec<SavedHook>, Box<HookFault>> {
        // Of several hooks of a type, each has that of its like, and the rest go by their order.
        let mut own: Vec<Option<HookState>> = Vec::new();
        own.resize_with(self.hooks.len(), || None);
        for is_exact in [true, false] {
            for (registered, own) in self.hooks.iter().zip(&mut own) {
                let is_its = |saved: &SavedHook| {
                    saved.type_name == registered.hook.type_name()
                        && (!is_exact || saved.arguments == registered.arguments)
                };
                if own.is_none()
                    && let Some(place) = saved.iter().position(is_its)
                {
                    *own = Some(saved.remove(place).state);
                }
            }
        }
        for (index, state) in own.into_iter().enumerate() {
            let Some(state) = state else { continue };
            if let Err(error) = self.hooks[index].hook.load_state(state) {
                self.fault(index, HookPoint::AfterLoadCheckpoint, error, host)?;
            }
        }
        Ok(saved)
    }

    /// From now on hooks of plugins are not called at this point.
    pub fn leave_out_plugins(&mut self, point: HookPoint) {
        let hooks = &self.hooks;
        self.by_point[point.number() as usize]
            .retain(|index| matches!(hooks[*index].hook.source(), HookSource::BuiltIn));
    }

    /// The hooks of a point in the order in which they are called.
    pub fn rows(&self, point: HookPoint) -> Vec<HookRow> {
        self.by_point[point.number() as usize]
            .iter()
            .map(|index| row(&self.hooks[*index]))
            .collect()
    }

    /// What each hook cost so far, the dearest first.
    pub fn costs(&self) -> Vec<HookCost> {
        let mut costs: Vec<_> = self.hooks.iter().map(Registered::cost).collect();
        costs.sort_by_key(|cost| std::cmp::Reverse(cost.spent));
        costs
    }
}

fn row(hook: &Registered) -> HookRow {
    HookRow {
        type_name: hook.hook.type_name().to_owned(),
        priority: hook.priority,
        source: source_label(hook.hook.source()),
    }
}

impl Registered {
    fn cost(&self) -> HookCost {
        let points = HookPoint::ALL.into_iter().zip(self.spent);
        let called = points.filter(|(_, (_, calls))| *calls > 0);
        let mut points: Vec<_> =
            called.map(|(point, (spent, calls))| (point, spent, calls)).collect();
        points.sort_by_key(|(_, spent, _)| std::cmp::Reverse(*spent));
        HookCost {
            row: row(self),
            calls: points.iter().map(|(_, _, calls)| calls).sum(),
            spent: points.iter().map(|(_, spent, _)| *spent).sum(),
            points,
        }
    }
}

/// A call that came back, but too late for a run that must not wait.
fn in_time(policy: &HookPolicy, took: Duration) -> Result<(), HookError> {
    match policy.deadline {
        Some(deadline) if deadline.stops_run && took > deadline.after => {
            let (took, allowed) = (took.as_secs_f64(), deadline.after.as_secs_f64());
            let text = format!(
                "took {took:.1} s, its deadline is {allowed} s (deadline_s, on_deadline='stop')"
            );
            Err(HookError::fatal(text).at(None))
        }
        _ => Ok(()),
    }
}

fn label(hook: &dyn HookInstance) -> String {
    match hook.source() {
        HookSource::BuiltIn => hook.type_name().to_owned(),
        source => format!("{} ({})", hook.type_name(), source_label(source)),
    }
}

/// Where a hook came from, for people: `built-in`, or `plugin trace 1.0.0`.
pub fn source_label(source: &HookSource) -> String {
    match source {
        HookSource::BuiltIn => "built-in".to_owned(),
        HookSource::Plugin { name, version, .. } => format!("plugin {name} {version}"),
    }
}
