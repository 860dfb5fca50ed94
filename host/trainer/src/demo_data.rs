//! `snaphook-trainer draw-demo DIR [--seed N]`: draws the data set of `cargo xtask demo`. Not for people.

use std::path::PathBuf;

use snaphook_data::shapes::ShapesOptions;

use crate::error::TrainerError;

/// What was asked for.
pub(crate) struct DrawRequest {
    folder: PathBuf,
    seed: u64,
}

/// The request of this process's command line, if it is one.
pub(crate) fn requested() -> Option<Result<DrawRequest, TrainerError>> {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let (first, rest) = arguments.split_first()?;
    (first == "draw-demo").then(|| read(rest))
}

fn read(arguments: &[String]) -> Result<DrawRequest, TrainerError> {
    let usage = || TrainerError::Usage("expected draw-demo DIR [--seed N]".to_owned());
    let (folder, seed) = match arguments {
        [folder] => (folder, 0),
        [folder, flag, seed] if flag == "--seed" => (folder, seed.parse().map_err(|_| usage())?),
        _ => return Err(usage()),
    };
    Ok(DrawRequest { folder: folder.into(), seed })
}

impl DrawRequest {
    /// Draws the pictures and writes their annotations.
    pub(crate) fn draw(&self) -> Result<(), TrainerError> {
        let options = ShapesOptions { seed: self.seed, ..ShapesOptions::default() };
        options.draw_into(&self.folder)?;
        println!("Pictures and annotations are in {}", self.folder.display());
        Ok(())
    }
}
