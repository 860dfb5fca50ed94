//! How a run ends: all ranks together, saved when it was asked to end, and with its hooks told when it failed.

use super::Run;
use crate::RunError;
use crate::interrupt::signal_name;
use crate::loops;
use crate::machine::stage;
use crate::saving;
use snaphook_plugin_api::HookPoint;

impl Run {
    pub(super) fn finish<T>(&mut self, result: Result<T, RunError>) -> Result<T, RunError> {
        self.bar = None;
        self.machine.log.set_bar(None);
        let result = result.and_then(|value| self.meet_at_the_end().map(|()| value));
        let result = match result {
            Err(RunError::Interrupted { signal }) => self.interrupted(signal),
            Err(error) => {
                let place = self.place();
                let error = self.machine.ranks.depart(error, &place);
                self.fail(&error);
                Err(error)
            }
            Ok(value) => Ok(value),
        };
        self.machine.progress.stage = stage::IDLE;
        // One that failed is seen where it did.
        if matches!(result, Ok(_) | Err(RunError::Interrupted { .. })) {
            self.machine.clock.enter_end();
        }
        let result = self.close_record(result);
        self.machine.ranks.linger();
        result
    }

    /// Waits for the other ranks. Who was asked to end while hooks were at work has not done all of it, perhaps.
    ///
    /// Errors: a rank that is gone; the request of any.
    fn meet_at_the_end(&mut self) -> Result<(), RunError> {
        let machine = &mut self.machine;
        let signal = machine.interrupt.signal().filter(|_| self.is_over);
        machine.ranks.finish(signal, || machine.clock.beat())
    }

    fn close_record<T>(&mut self, result: Result<T, RunError>) -> Result<T, RunError> {
        let Some(mut record) = self.record.take() else { return result };
        let written = record.finish(result.as_ref().err(), &mut self.machine, &self.dispatcher);
        // The first error is the one that ends the run.
        if result.is_ok() { written.and(result) } else { result }
    }

    /// Where the run stands, for other ranks.
    fn place(&self) -> String {
        let last = self.last_point.map_or("none", HookPoint::name);
        let (rank, doing) = (self.machine.ranks.rank(), self.stage_and_iteration());
        format!("rank {rank}, {doing}, last hook point {last}")
    }

    /// Saves, and lets hooks end the run in good order: not as a failure, since it goes on later.
    fn interrupted<T>(&mut self, signal: usize) -> Result<T, RunError> {
        if self.is_over {
            self.machine.log.info(format!(
                "Interrupted by {} after the last iteration: what hooks have left to do they do when the run is started again \
                 with --resume",
                signal_name(signal)
            ));
            return Err(RunError::Interrupted { signal });
        }
        let saved = saving::save_interrupted(self).inspect_err(|error| self.fail(error))?;
        let name = signal_name(signal);
        self.machine.log.info(match saved {
            Some(path) => {
                // --resume alone looks into the work folder, which trials leave alone.
                let is_found = path.parent() == Some(&self.machine.info.work_dir);
                let path = path.display();
                let flag =
                    if is_found { "--resume".to_owned() } else { format!("--resume {path}") };
                format!("Interrupted by {name}, saved to {path} (go on with {flag})")
            }
            None => format!("Interrupted by {name}, nothing was there to save"),
        });
        self.machine.interrupted_by = Some(signal);
        self.machine.interrupt.forget();
        self.call(HookPoint::AfterRun)?;
        Err(RunError::Interrupted { signal })
    }

    /// Tells hooks of a failure before [`Run::train`] or [`Run::test`] could begin.
    pub fn fail_at_start(&mut self, kind: &str, message: &str) {
        self.machine.payload = serde_json::json!({ "kind": kind, "message": message });
        if let Err(second) = self.call(HookPoint::OnException) {
            self.while_ending(&second);
        }
    }

    /// Saves what is sound, and tells hooks. The first error is the one that ends the run: later ones are logged.
    fn fail(&mut self, error: &RunError) {
        self.machine.log.last_error(&error.to_string());
        self.machine.requests.clear();
        let is_writing = matches!(error, RunError::Checkpoint(error) if error.is_write());
        let saved = if is_writing { Ok(None) } else { saving::save_emergency(self) };
        match saved {
            Ok(Some(path)) => {
                self.machine.log.info(format!("Saved to {} before the run ends", path.display()))
            }
            Ok(None) => {}
            Err(second) => self.while_ending(&second),
        }
        self.machine.payload = loops::exception_payload(error);
        if let Err(second) = self.call(HookPoint::OnException) {
            self.while_ending(&second);
        }
    }

    fn while_ending(&self, second: &RunError) {
        self.machine.log.warn(format!("While the run was ending: {second}"));
    }
}
