//! One epoch on its way: threads make samples, the iterator puts them into batches.
//! Knows nothing of what a sample contains.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::bound::{Bound, Waiting, Work};
use super::order::Turn;
use super::queue::OrderedQueue;
use super::{Batch, Loader, LoaderConfig, OnBadImage};
use crate::dataset::{BadImages, Dataset, Draw, draw_usable};
use crate::{DataError, Sample, SampleRng};

type Made = Result<Option<Sample>, DataError>;

/// What it takes to make the samples of an epoch, from any thread and in any order.
struct Recipe {
    dataset: Arc<dyn Dataset>,
    /// What this rank makes, from the first sample asked for.
    turns: Vec<Turn>,
    epoch: u64,
    config: LoaderConfig,
    bad_images: Arc<BadImages>,
    work: Work,
}

impl Recipe {
    /// Makes the sample at a position; a panic becomes an error, or nobody would ever deliver it.
    fn make(&self, at: usize) -> Made {
        let Turn { index, drawn_for: (pass, place) } = self.turns[at];
        let mut draw = Draw {
            rng: SampleRng::for_sample(self.config.seed, pass, place),
            bad_images: (self.config.on_bad_image == OnBadImage::Skip)
                .then(|| self.bad_images.clone()),
        };
        let make = || draw_usable(&*self.dataset, index, &mut draw);
        catch_unwind(AssertUnwindSafe(|| self.work.timed(make))).unwrap_or_else(|panic| {
            Err(DataError::WorkerPanicked { index, message: text_of(&*panic) })
        })
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

/// Iterates over the batches of an epoch.
pub struct EpochBatches {
    recipe: Arc<Recipe>,
    queue: Arc<OrderedQueue<Made>>,
    threads: Vec<JoinHandle<()>>,
    failed_start: Option<DataError>,
    next_batch: u64,
    waiting: Waiting,
    bound: Arc<Mutex<Option<Bound>>>,
    /// Samples asked for so far.
    done: usize,
}

impl EpochBatches {
    pub(super) fn start(loader: &Loader, epoch: u64, start_batch: u64) -> Self {
        let config = loader.config;
        let dataset = loader.dataset();
        let mut turns = config.turns(&*dataset, epoch);
        turns.drain(..(start_batch as usize).saturating_mul(config.batch_size).min(turns.len()));
        let capacity = 2 * config.batch_size + config.num_workers;
        let queue = Arc::new(OrderedQueue::new(turns.len(), capacity));
        let bad_images = loader.bad_images.clone();
        let work = Work::default();
        let recipe = Recipe { dataset, turns, epoch, config, bad_images, work };
        let mut batches = Self {
            recipe: Arc::new(recipe),
            queue,
            threads: Vec::new(),
            failed_start: None,
            next_batch: start_batch,
            waiting: Waiting::start(),
            bound: loader.bound.clone(),
            done: 0,
        };
        batches.start_threads();
        batches
    }

    fn start_threads(&mut self) {
        for number in 0..self.recipe.config.num_workers.min(self.recipe.turns.len()) {
            let (recipe, queue) = (self.recipe.clone(), self.queue.clone());
            let work = move || {
                while let Some(position) = queue.take_position() {
                    queue.deliver(position, recipe.make(position));
                }
            };
            match thread::Builder::new().name(format!("loader-{number}")).spawn(work) {
                Ok(thread) => self.threads.push(thread),
                Err(error) => self.failed_start = Some(DataError::StartThread(error)),
            }
        }
    }

    fn next_sample(&mut self) -> Option<Made> {
        let (recipe, queue, done) = (&self.recipe, &self.queue, self.done);
        let made = self.waiting.timed(|| match recipe.config.num_workers {
            0 => (done < recipe.turns.len()).then(|| recipe.make(done)),
            _ => queue.next(),
        });
        self.done += usize::from(made.is_some());
        made
    }

    fn end(&mut self) {
        self.queue.stop();
        for thread in self.threads.drain(..) {
            // A panic of a thread has been caught and delivered as an error already.
            let _ = thread.join();
        }
        self.tell_bound();
        self.done = self.recipe.turns.len();
    }

    /// Once, at the end of an epoch of training that was gone through.
    fn tell_bound(&self) {
        let is_through = self.done == self.recipe.turns.len() && self.failed_start.is_none();
        if is_through && !self.recipe.dataset.is_test_mode() {
            let mut before = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
            let line = self.waiting.line(&self.recipe.work, &mut before, self.recipe.epoch);
            line.iter().for_each(|line| tracing::info!("{line}"));
        }
    }
}

impl Iterator for EpochBatches {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed_start.take() {
            self.end();
            return Some(Err(error));
        }
        let mut samples = Vec::with_capacity(self.recipe.config.batch_size);
        let mut asked = 0;
        while asked < self.recipe.config.batch_size {
            match self.next_sample() {
                None => break,
                Some(Ok(sample)) => samples.extend(sample),
                Some(Err(error)) => {
                    self.end();
                    return Some(Err(error));
                }
            }
            asked += 1;
        }
        if asked == 0 {
            return None;
        }
        let index = self.next_batch;
        self.next_batch += 1;
        Some(Ok(Batch { samples, index }))
    }
}

impl Drop for EpochBatches {
    fn drop(&mut self) {
        self.end();
    }
}
