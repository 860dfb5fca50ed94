//! Copies what a run has written to where its log is wanted, once everything is written.
//! Knows nothing of which files those are.

use snaphook_hooks::HookFault;
use snaphook_plugin_api::HookPoint;

use crate::RunError;
use crate::run::Run;

impl Run {
    /// Carries out the copies that `LoggerHook.out_dir` asks for. To be called when the page about the run is written.
    ///
    /// Errors: a file that cannot be read, written or removed.
    pub fn carry_out_copies(&mut self) -> Result<(), RunError> {
        let machine = &mut self.machine;
        for copy in std::mem::take(&mut machine.final_copies) {
            let log = &machine.log;
            copy.carry_out(&machine.info.run_dir, |line| log.info(line)).map_err(|error| {
                let (epoch, iter) = (machine.progress.epoch, machine.progress.iter);
                let (hook, point) = ("LoggerHook".to_owned(), HookPoint::AfterRun);
                RunError::Hook(Box::new(HookFault { hook, point, epoch, iter, error }))
            })?;
        }
        Ok(())
    }
}
