//! Drawing a usable sample: what happens when a picture is broken or a pipeline drops a sample.
//! Knows nothing of the order of samples; the loader chooses the first index.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::Dataset;
use crate::{DataError, Sample, SampleRng};

/// The broken pictures met so far; each is reported once.
#[derive(Debug, Default)]
pub struct BadImages {
    paths: Mutex<HashSet<PathBuf>>,
}

impl BadImages {
    /// How many different pictures were left out.
    pub fn count(&self) -> usize {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn report(&self, error: &DataError) {
        let Some(path) = error.bad_image_path() else { return };
        let is_new =
            self.paths.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
        if is_new {
            let cause =
                std::error::Error::source(error).map(|s| format!(": {s}")).unwrap_or_default();
            tracing::warn!("{error}{cause}; it is left out");
        }
    }
}

/// What one draw needs: its random numbers, and what to do about broken pictures.
#[derive(Debug)]
pub struct Draw {
    /// The sample's random numbers.
    pub rng: SampleRng,
    /// Where broken pictures are noted and left out; `None`: they are errors.
    pub bad_images: Option<Arc<BadImages>>,
}

impl Draw {
    /// A draw for which broken pictures are errors.
    pub fn strict(rng: SampleRng) -> Self {
        Self { rng, bad_images: None }
    }
}

/// As MMEngine's `max_refetch`.
const MOST_TRIES: usize = 1001;

/// Draws the sample at `index`, or, in training, another one in place of it when the pipeline drops it
/// or, if the draw allows that, its picture is broken. `None` only in test mode, for a broken picture.
///
/// Errors: [`DataError::NoUsableSample`] after 1001 tries; a broken picture that must not be left out.
pub fn draw_usable(
    dataset: &dyn Dataset,
    index: usize,
    draw: &mut Draw,
) -> Result<Option<Sample>, DataError> {
    draw_usable_by(dataset, index, draw, &|at, draw| dataset.sample(at, draw))
}

/// Makes the sample at an index.
type Make<'a> = &'a dyn Fn(usize, &mut Draw) -> Result<Option<Sample>, DataError>;

/// [`draw_usable`] with samples that `make` makes.
pub(super) fn draw_usable_by(
    dataset: &dyn Dataset,
    index: usize,
    draw: &mut Draw,
    make: Make<'_>,
) -> Result<Option<Sample>, DataError> {
    let mut at = index;
    for _ in 0..MOST_TRIES {
        match make(at, draw) {
            Ok(Some(sample)) => return Ok(Some(sample)),
            Ok(None) if dataset.is_test_mode() => {
                return Err(DataError::NoUsableSample { tries: 1, last: shown(dataset, at) });
            }
            Ok(None) => {}
            Err(error) => {
                let Some(bad) = draw.bad_images.as_ref().filter(|_| error.is_bad_image()) else {
                    return Err(error);
                };
                bad.report(&error);
                if dataset.is_test_mode() {
                    return Ok(None);
                }
            }
        }
        at = draw.rng.below(dataset.len());
    }
    Err(DataError::NoUsableSample { tries: MOST_TRIES, last: shown(dataset, at) })
}

fn shown(dataset: &dyn Dataset, index: usize) -> String {
    dataset.record(index).img_path.display().to_string()
}
