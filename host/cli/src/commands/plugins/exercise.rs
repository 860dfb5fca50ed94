//! `snaphook plugins exercise`, the child of `snaphook plugins check`: from here on code of a plugin runs in this
//! process. Knows nothing of what becomes of its events.

use snaphook_loader::{Exercise, Plugin, limit_this_process, listen_to_stdout_alone};

use crate::args::PluginsExerciseArguments;
use crate::{CliError, Exit};

pub(in crate::commands) fn exercise(
    arguments: &PluginsExerciseArguments,
) -> Result<Exit, CliError> {
    let mut events = listen_to_stdout_alone()?;
    if !arguments.unlimited {
        limit_this_process(arguments.exercise.memory_mib)?;
    }
    let failed =
        |reason| CliError::Plugin(format!("plugin {}: {reason}", arguments.file.display()));
    let plugin = Plugin::read(&arguments.file).map_err(failed)?;
    let what = Exercise {
        kwargs: arguments.exercise.kwargs.clone(),
        conformance: arguments.exercise.conformance,
        lives: arguments.lives,
    };
    snaphook_loader::exercise(plugin, &what, &mut events)?;
    Ok(Exit::Done)
}
