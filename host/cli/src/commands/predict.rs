//! `snaphook predict`: look at everything that can be wrong, then go on as the program that has the models.
//! Knows nothing of models.

use snaphook_data::find_images;
use snaphook_launch::{Contract, Launcher};

use super::train::{Warnings, check, expect_checkpoint};
use crate::args::{LogFormat, PredictArguments};
use crate::{CliError, Exit, trainer};

pub(super) fn predict(arguments: &PredictArguments) -> Result<Exit, CliError> {
    expect_checkpoint(&arguments.checkpoint, "")?;
    find_images(&arguments.images)?;
    check(&arguments.config, &arguments.load(), None, Warnings::Told(LogFormat::Text))?;
    let alone = Contract { launcher: Launcher::None, place: None, notes: Vec::new() };
    Err(trainer::become_it(std::env::args_os().skip(1), &alone))
}
