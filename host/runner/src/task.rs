//! What the runner needs of a field of work (detection, classification): a model, data, a metric.
//! Knows nothing of pictures or boxes.

use std::any::Any;
use std::path::PathBuf;

use serde_json::Value as Json;
use tch::Tensor;

use crate::ModelState;
use crate::limit::{Amount, Limited};

/// Any error of a model, a data source or a metric; the message says what and where.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A batch; only the field that made it knows what is inside.
pub type AnyBatch = Box<dyn Any + Send>;

/// The predictions for a batch; only the field that made them knows what is inside.
pub type AnyPredictions = Box<dyn Any>;

/// Where a training step stands, for what depends on it (batch-wise random sizes).
#[derive(Clone, Copy, Debug, Default)]
pub struct StepContext {
    /// Training iterations finished.
    pub iter: u64,
    /// Epochs finished.
    pub epoch: u64,
    /// Seed of the run.
    pub seed: u64,
}

/// The losses of one step by name, in the order in which the log shows them, without their sum.
#[derive(Debug, Default)]
pub struct Losses(pub Vec<(String, Tensor)>);

/// A part of a model that hooks can see.
#[derive(Clone, Debug)]
pub struct ModuleInfo {
    /// Dotted name: `bbox_head`.
    pub name: String,
    /// The `type` that the config gave it.
    pub type_name: String,
    /// Attributes: `num_classes`, `use_l1`.
    pub attributes: Json,
}

/// A model that can be trained and asked for predictions.
pub trait Model {
    /// Its parameters and buffers.
    fn state(&self) -> &ModelState;
    /// Training or evaluation mode, for batch norm and the like.
    fn set_training(&mut self, training: bool);
    /// Gives the weights their start values (initialisation or pretrained files).
    ///
    /// Errors: a pretrained file that is missing or does not fit.
    fn init_weights(&mut self, seed: u64) -> Result<(), BoxError>;
    /// Forward pass and losses of a training batch.
    fn loss(&mut self, batch: &AnyBatch, context: &StepContext) -> Result<Losses, BoxError>;
    /// Predictions for a batch, in the coordinates of the original pictures.
    fn predict(&mut self, batch: &AnyBatch) -> Result<AnyPredictions, BoxError>;
    /// Losses of a validation batch in evaluation mode, without gradients: running means stand still, and nothing is
    /// drawn at random.
    ///
    /// Errors: a model that has none.
    fn validation_loss(&mut self, _batch: &AnyBatch) -> Result<Losses, BoxError> {
        Err("this model has no loss in validation (leave out loss=True of val_cfg)".into())
    }
    /// The names that losses of validation can have; `None`: known once there was one.
    fn loss_names(&self) -> Option<Vec<String>> {
        None
    }
    /// The parts with their attributes.
    fn modules(&self) -> Vec<ModuleInfo>;
    /// Sets an attribute (`bbox_head`, `use_l1`, true).
    ///
    /// Errors: no such part or attribute (nearest names), wrong type.
    fn set_attribute(&mut self, module: &str, name: &str, value: &Json) -> Result<(), BoxError>;
    /// Calls a method of the model (`set_epoch`).
    ///
    /// Errors: no such method.
    fn call(&mut self, method: &str, arguments: &Json) -> Result<Json, BoxError>;
}

/// What the order of training samples depends on, to tell where a run with other processes goes on in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// In each epoch all samples, in an order that does not depend on how many make a step.
    Passes(Rest),
    /// One stream without an end, cut into epochs of whole steps.
    Stream,
    /// In each epoch an order that depends on how many samples make a step.
    Steps(Rest),
}

/// What becomes of an epoch's last samples, which are too few for a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// They make a short step, filled up with samples of before until every rank has as many.
    Repeated,
    /// They make a short step, without those that not every rank could have.
    Shared,
    /// They are left out.
    Dropped,
}

/// Batches, epoch after epoch.
pub trait DataSource {
    /// Batches of an epoch, on this rank.
    fn batches(&self) -> usize;
    /// Samples of the data set.
    fn samples(&self) -> usize;
    /// Batches of an epoch over all ranks; one that they share counts once.
    fn batches_of_all(&self) -> usize {
        self.batches()
    }
    /// How many of the first `batches` of all this rank has, or has a part of.
    fn share_of(&self, batches: usize) -> usize {
        batches
    }
    /// What the order depends on.
    fn order(&self) -> Order {
        Order::Passes(Rest::Repeated)
    }
    /// Starts epoch `epoch` at batch `start` (0 unless a run is resumed in mid-epoch).
    fn start_epoch(&mut self, epoch: u64, start: u64) -> Result<(), BoxError>;
    /// The next batch of the epoch; `None` at its end.
    fn next_batch(&mut self) -> Option<Result<AnyBatch, BoxError>>;
    /// Ends the epoch early: stops threads, frees batches.
    fn end_epoch(&mut self);
    /// Meta data: classes, palette.
    fn meta(&self) -> Json;
    /// What tells this data from other data of the same size, the same in every run; `None`: nothing does.
    fn fingerprint(&self) -> Option<String> {
        None
    }
    /// The epoch that the sampler shuffles for, from the next start on.
    fn set_epoch(&mut self, epoch: u64);
    /// Leaves out transforms of these types from the next epoch on.
    fn skip_transforms(&mut self, types: &[String]) -> Result<(), BoxError>;
    /// Replaces the pipeline from the next epoch on.
    fn set_pipeline(&mut self, pipeline: &Json) -> Result<(), BoxError>;
    /// Makes pictures of another size, (width, height), from the next epoch on, whatever pipelines are or come into force.
    ///
    /// Errors: data whose samples have no size; a transform that refuses it.
    fn set_scale(&mut self, _scale: [u64; 2]) -> Result<(), BoxError> {
        Err("the samples of this data have no size that could be set".into())
    }
    /// The pipeline in force of each part of the data: the configuration entries of its transforms.
    fn pipelines(&self) -> Vec<Json> {
        Vec::new()
    }
}

/// The numbers of an evaluation.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// Metrics in the order in which the log shows them: `coco/bbox_mAP`.
    pub metrics: Vec<(String, f64)>,
    /// A table for people, logged as it is.
    pub table: Option<String>,
    /// What goes wrong where, for the report: a [`snaphook_report::Diagnosed`] for each metric that knows.
    pub diagnoses: Vec<snaphook_report::Diagnosed>,
}

/// Collects predictions and turns them into metrics.
pub trait Evaluator {
    /// Takes in the predictions for a batch.
    fn process(&mut self, batch: &AnyBatch, predictions: &AnyPredictions) -> Result<(), BoxError>;
    /// The predictions for a batch as bytes, a piece for each sample, for the rank that scores them all; takes nothing in.
    ///
    /// Errors: predictions of another field; a metric that cannot do it, which is one for a single process.
    fn pack(
        &self,
        _batch: &AnyBatch,
        _predictions: &AnyPredictions,
    ) -> Result<Vec<Vec<u8>>, BoxError> {
        Err("this metric cannot put together the predictions of several processes (evaluate with one)".into())
    }
    /// Takes in a piece that another process has packed.
    ///
    /// Errors: bytes that [`Evaluator::pack`] has not made.
    fn process_packed(&mut self, _sample: &[u8]) -> Result<(), BoxError> {
        Err("this metric cannot put together the predictions of several processes (evaluate with one)".into())
    }
    /// Scores only samples that it is given, for evaluations of a part of the data; nothing to do for a metric that never
    /// knows of others.
    fn score_only_seen(&mut self) {}
    /// The names of the metrics that [`Evaluator::evaluate`] gives; `None`: known after an evaluation only.
    fn metric_names(&self) -> Option<Vec<String>> {
        None
    }
    /// The metrics over everything taken in, and starts anew.
    fn evaluate(&mut self, samples: usize) -> Result<Evaluation, BoxError>;
}

/// Which pictures to draw of a batch.
#[derive(Clone, Debug)]
pub struct DrawRequest {
    /// The folder that the pictures go into; made if it is missing.
    pub folder: PathBuf,
    /// Begin of the file names: `val_img`.
    pub name: String,
    /// Whether a picture keeps the name of its own file; otherwise it is called `<name>_<step>.png`.
    pub keeps_names: bool,
    /// Number of the first picture, the next ones count on.
    pub step: u64,
    /// Boxes below this score are left out.
    pub score_threshold: f64,
    /// At most so many pictures of the batch.
    pub most: usize,
    /// Whether what the annotations say is drawn on a second copy of the picture, to the left.
    pub with_truth: bool,
}

/// Draws predictions.
pub trait Painter {
    /// Draws what was asked for; returns the files.
    fn draw(
        &mut self,
        batch: &AnyBatch,
        predictions: &AnyPredictions,
        request: &DrawRequest,
    ) -> Result<Vec<PathBuf>, BoxError>;
}

/// Data with the metric that is measured on it.
pub struct EvaluationSet {
    /// What its metrics begin with, as in `night/coco/bbox_mAP`; `None` for the only one.
    pub name: Option<String>,
    /// The data.
    pub data: Box<dyn DataSource>,
    /// The metric.
    pub evaluator: Box<dyn Evaluator>,
}

impl EvaluationSet {
    /// The name that hooks see of one of its metrics.
    pub(crate) fn metric_name(&self, name: String) -> String {
        match &self.name {
            Some(set) => format!("{set}/{name}"),
            None => name,
        }
    }
}

/// Everything of a field that a run works with.
pub struct Task {
    /// The model.
    pub model: Box<dyn Model>,
    /// Training data; `None` for a test.
    pub train_data: Option<Box<dyn DataSource>>,
    /// Validation sets, one after the other; empty for a run that does not validate.
    pub validation: Vec<EvaluationSet>,
    /// Test sets, as `validation`.
    pub test: Vec<EvaluationSet>,
    /// Draws predictions.
    pub painter: Option<Box<dyn Painter>>,
}

impl Task {
    /// Leaves out all but the first batches: of training, and of every validation set.
    pub fn limit(&mut self, train: Option<Amount>, validation: Option<Amount>) {
        if let Some(amount) = train {
            self.train_data = self.train_data.take().map(|data| limited(data, amount));
        }
        if let Some(amount) = validation {
            for mut set in std::mem::take(&mut self.validation) {
                set.evaluator.score_only_seen();
                self.validation.push(EvaluationSet { data: limited(set.data, amount), ..set });
            }
        }
    }

    /// Trains on the same few batches in every epoch.
    pub fn overfit(&mut self, amount: Amount) {
        let repeat = |data| Box::new(Limited::repeating(data, amount)) as Box<dyn DataSource>;
        self.train_data = self.train_data.take().map(repeat);
        self.limit(None, Some(amount));
    }
}

fn limited(data: Box<dyn DataSource>, amount: Amount) -> Box<dyn DataSource> {
    Box::new(Limited::new(data, amount))
}
