//! What a schedule changes: the values of groups of parameters.
//! Knows nothing of libtorch.

/// A number of a parameter group that a schedule can drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// `lr`.
    LearningRate,
    /// `momentum`, or the first beta of Adam and its kin.
    Momentum,
    /// `weight_decay`.
    WeightDecay,
}

impl Quantity {
    /// All of them.
    pub const ALL: [Quantity; 3] =
        [Quantity::LearningRate, Quantity::Momentum, Quantity::WeightDecay];

    /// Its key in MMEngine's parameter groups.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::LearningRate => "lr",
            Quantity::Momentum => "momentum",
            Quantity::WeightDecay => "weight_decay",
        }
    }
}

/// Groups of parameters whose numbers can be read and set.
pub trait ParamGroups {
    /// How many groups there are.
    fn count(&self) -> usize;

    /// Whether the optimizer has a number of this kind.
    fn has(&self, quantity: Quantity) -> bool {
        let _ = quantity;
        true
    }

    /// The current value.
    fn value(&self, quantity: Quantity, group: usize) -> f64;

    /// Changes the current value.
    fn set_value(&mut self, quantity: Quantity, group: usize, value: f64);

    /// The value before any schedule touched it, once a schedule has recorded it.
    fn initial(&self, quantity: Quantity, group: usize) -> Option<f64>;

    /// Records the value before any schedule.
    fn set_initial(&mut self, quantity: Quantity, group: usize, value: f64);
}

/// Plain numbers as parameter groups, for a look at a schedule without an optimizer.
///
/// ```
/// use snaphook_schedules::{GroupValues, ScheduleContext, Schedules, Unit};
/// let mut groups = GroupValues::new(&[1.0], 0.9, 0.0);
/// let context = ScheduleContext { max_epochs: 6, max_iters: 6, epoch_length: 1 };
/// let config = serde_json::json!({"type": "LinearLR", "start_factor": 0.5, "end": 5});
/// let mut schedules = Schedules::build(&config, context, &mut groups)?;
/// schedules.step(Unit::Epoch, &mut groups);
/// assert_eq!(groups.learning_rate(0), 0.625);
/// # Ok::<(), snaphook_schedules::ScheduleError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GroupValues {
    groups: Vec<[f64; 3]>,
    initial: Vec<[Option<f64>; 3]>,
    lacks: [bool; 3],
}

impl GroupValues {
    /// One group for each learning rate, all with this momentum and weight decay.
    pub fn new(learning_rates: &[f64], momentum: f64, weight_decay: f64) -> GroupValues {
        let groups: Vec<_> =
            learning_rates.iter().map(|&rate| [rate, momentum, weight_decay]).collect();
        GroupValues::from_values(groups)
    }

    /// Groups with these learning rates, momenta and weight decays.
    pub fn from_values(groups: Vec<[f64; 3]>) -> GroupValues {
        GroupValues { initial: vec![[None; 3]; groups.len()], groups, lacks: [false; 3] }
    }

    /// The same for an optimizer that has no number of this kind.
    pub fn without(mut self, quantity: Quantity) -> GroupValues {
        self.lacks[quantity as usize] = true;
        self
    }

    /// The learning rate of a group.
    pub fn learning_rate(&self, group: usize) -> f64 {
        self.value(Quantity::LearningRate, group)
    }
}

impl ParamGroups for GroupValues {
    fn count(&self) -> usize {
        self.groups.len()
    }

    fn has(&self, quantity: Quantity) -> bool {
        !self.lacks[quantity as usize]
    }

    fn value(&self, quantity: Quantity, group: usize) -> f64 {
        self.groups[group][quantity as usize]
    }

    fn set_value(&mut self, quantity: Quantity, group: usize, value: f64) {
        self.groups[group][quantity as usize] = value;
    }

    fn initial(&self, quantity: Quantity, group: usize) -> Option<f64> {
        self.initial[group][quantity as usize]
    }

    fn set_initial(&mut self, quantity: Quantity, group: usize, value: f64) {
        self.initial[group][quantity as usize] = Some(value);
    }
}
