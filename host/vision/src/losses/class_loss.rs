//! Losses of the classes of anchors and regions: binary, softmax and focal cross entropy.
//!
//! Source: MMDetection `models/losses/{cross_entropy_loss,focal_loss}.py`.

use serde_json::Value as Json;
use snaphook_components::vision::{CrossEntropyLoss, FocalLoss};
use snaphook_components::{Catalog, ComponentError, Problem, ProblemKind, Role, read, type_name};
use tch::{Device, Kind, Reduction, Tensor};

use super::Reduced;

/// A loss of classes that is divided by a count of the head's.
#[derive(Clone, Debug)]
pub(crate) struct ClassLoss {
    kind: ClassKind,
    reduced: Reduced,
}

#[derive(Clone, Debug)]
enum ClassKind {
    /// Each class is a question of its own; weights of "yes".
    Binary(Option<Vec<f64>>),
    /// One of all classes and the background; weights of each.
    Softmax(Option<Vec<f64>>),
    /// Binary, with less weight on what is right already.
    Focal {
        /// How fast the weight falls.
        gamma: f64,
        /// Weight of "yes".
        alpha: f64,
    },
}

/// The rows that take part in a loss.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelledRows {
    /// Rows of the predictions.
    pub(crate) rows: Vec<i64>,
    /// Class of each; the number of classes is the background.
    pub(crate) labels: Vec<i64>,
    /// Weight of each.
    pub(crate) weights: Vec<f32>,
}

impl LabelledRows {
    /// Adds a row.
    pub(crate) fn push(&mut self, row: i64, label: i64, weight: f32) {
        self.rows.push(row);
        self.labels.push(label);
        self.weights.push(weight);
    }
}

/// How many outputs a head has for each box, by the kind of its loss.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClassOutputs {
    /// Where each class is judged by itself.
    pub(crate) sigmoid: i64,
    /// Where they share out one whole.
    pub(crate) softmax: i64,
}

impl ClassLoss {
    /// Binary, with weight 1.
    pub(crate) fn binary() -> ClassLoss {
        ClassLoss { kind: ClassKind::Binary(None), reduced: Reduced::unit() }
    }

    /// Softmax, with weight 1.
    pub(crate) fn softmax() -> ClassLoss {
        ClassLoss { kind: ClassKind::Softmax(None), reduced: Reduced::unit() }
    }

    /// That of the paper, with weight 1.
    pub(crate) fn focal() -> ClassLoss {
        let kind = ClassKind::Focal { gamma: 2.0, alpha: 0.25 };
        ClassLoss { kind, reduced: Reduced::unit() }
    }

    /// `classes` is the number of weights that `class_weight` must have.
    pub(crate) fn read(
        value: &Json,
        path: &str,
        outputs: ClassOutputs,
    ) -> Result<ClassLoss, ComponentError> {
        match type_name(Role::Loss, value, path)? {
            "CrossEntropyLoss" => {
                let own: CrossEntropyLoss = read(value, path)?;
                let outputs = if own.use_sigmoid { outputs.sigmoid } else { outputs.softmax };
                if own.class_weight.as_ref().is_some_and(|w| w.len() as i64 != outputs) {
                    let found = own.class_weight.map_or(0, |weights| weights.len());
                    let message = format!("expected {outputs} weights, found {found}");
                    let path = format!("{path}.class_weight");
                    return Err(Problem::new(path, ProblemKind::Value, message).into());
                }
                let kind = match own.use_sigmoid {
                    true => ClassKind::Binary(own.class_weight),
                    false => ClassKind::Softmax(own.class_weight),
                };
                let reduced = Reduced::counted(own.reduction, own.loss_weight, path)?;
                Ok(ClassLoss { kind, reduced })
            }
            "FocalLoss" => {
                let own: FocalLoss = read(value, path)?;
                let kind = ClassKind::Focal { gamma: own.gamma, alpha: own.alpha };
                let reduced = Reduced::counted(own.reduction, own.loss_weight, path)?;
                Ok(ClassLoss { kind, reduced })
            }
            _ => Err(Catalog::built_in().unknown(Role::Loss, value, path).into()),
        }
    }

    /// Numbers that are predicted for so many classes: the background is one more where they exclude each other.
    pub(crate) fn outputs(&self, classes: i64) -> i64 {
        if matches!(self.kind, ClassKind::Softmax(_)) { classes + 1 } else { classes }
    }

    /// Scores of the classes, without the background.
    ///
    /// Shapes: `logits` [..., outputs]; the result [..., classes].
    pub(crate) fn scores(&self, logits: &Tensor) -> Tensor {
        match self.kind {
            ClassKind::Softmax(_) => {
                let all = logits.softmax(-1, Kind::Float);
                let classes = all.size().last().map_or(0, |outputs| outputs - 1);
                all.narrow(-1, 0, classes)
            }
            _ => logits.sigmoid(),
        }
    }

    /// The weighted sum over the rows, divided by `count`.
    ///
    /// Shapes: `logits` [R, outputs].
    pub(crate) fn forward(&self, logits: &Tensor, rows: &LabelledRows, count: f64) -> Tensor {
        let device = logits.device();
        let weights = Tensor::from_slice(&rows.weights).to_device(device);
        match &self.kind {
            ClassKind::Binary(class_weight) => {
                let logits = logits.index_select(0, &indices(&rows.rows, device));
                let targets = one_hot(&rows.labels, &logits);
                let elements = logits.binary_cross_entropy_with_logits::<Tensor>(
                    &targets,
                    None,
                    class_weight.as_ref().map(|w| numbers(w, device)),
                    Reduction::None,
                );
                self.reduced.over(&(elements * weights.unsqueeze(1)), count)
            }
            ClassKind::Softmax(class_weight) => {
                let logits = logits.index_select(0, &indices(&rows.rows, device));
                self.reduced.over(
                    &(self.softmax_losses(&logits, &rows.labels, class_weight) * weights),
                    count,
                )
            }
            ClassKind::Focal { gamma, alpha } => {
                self.reduced.over(&focal(logits, rows, *gamma, *alpha), count)
            }
        }
    }

    /// The loss of each row, without weights.
    ///
    /// Shapes: `logits` [R, outputs]; the result [R].
    pub(crate) fn of_rows(&self, logits: &Tensor, labels: &[i64]) -> Tensor {
        match &self.kind {
            ClassKind::Softmax(class_weight) => self.softmax_losses(logits, labels, class_weight),
            _ => {
                let targets = one_hot(labels, logits);
                let losses = logits.binary_cross_entropy_with_logits::<Tensor>(
                    &targets,
                    None,
                    None,
                    Reduction::None,
                );
                losses.sum_dim_intlist(1, false, Kind::Float)
            }
        }
    }

    fn softmax_losses(
        &self,
        logits: &Tensor,
        labels: &[i64],
        class_weight: &Option<Vec<f64>>,
    ) -> Tensor {
        logits.cross_entropy_loss::<Tensor>(
            &indices(labels, logits.device()),
            class_weight.as_ref().map(|w| numbers(w, logits.device())),
            Reduction::None,
            -100,
            0.0,
        )
    }
}

fn indices(rows: &[i64], device: Device) -> Tensor {
    Tensor::from_slice(rows).to_device(device)
}

fn numbers(values: &[f64], device: Device) -> Tensor {
    Tensor::from_slice(values).to_kind(Kind::Float).to_device(device)
}

/// Shapes: the result as `logits`, [R, C]; rows of the background are zero.
fn one_hot(labels: &[i64], logits: &Tensor) -> Tensor {
    let classes = logits.size()[1];
    let at = |(row, label): (usize, &i64)| {
        (0..classes).contains(label).then(|| row as i64 * classes + label)
    };
    let places: Vec<i64> = labels.iter().enumerate().filter_map(at).collect();
    let flat = logits.detach().zeros_like().reshape([-1]);
    flat.index_fill(0, &indices(&places, logits.device()), 1.0).view_as(logits)
}

/// The weighted elements, all in one sum: "no" everywhere, and what changes where a class is there. Most of the elements
/// are "no", which needs half of the operations.
///
/// Source: arXiv 1708.02002, equation 5.
fn focal(logits: &Tensor, rows: &LabelledRows, gamma: f64, alpha: f64) -> Tensor {
    let device = logits.device();
    let (count, classes) = logits.size2().expect("logits have two dimensions");
    let chosen = indices(&rows.rows, device);
    let mut weights = Tensor::zeros([count], (Kind::Float, device));
    let _ = weights.index_copy_(0, &chosen, &Tensor::from_slice(&rows.weights).to_device(device));
    let no = |x: &Tensor| power(&x.sigmoid(), gamma) * x.softplus() * (1.0 - alpha);
    let yes = |x: &Tensor| power(&(-x).sigmoid(), gamma) * (-x).softplus() * alpha;
    let all = no(logits).sum_dim_intlist(1, false, Kind::Float).dot(&weights);
    let labelled = rows.rows.iter().zip(&rows.labels).zip(&rows.weights);
    let (places, own): (Vec<i64>, Vec<f32>) = labelled
        .filter(|((_, label), _)| (0..classes).contains(*label))
        .map(|((row, label), weight)| (row * classes + label, *weight))
        .unzip();
    if places.is_empty() {
        return all;
    }
    let there = logits.reshape([-1]).index_select(0, &indices(&places, device));
    all + (yes(&there) - no(&there)).dot(&Tensor::from_slice(&own).to_device(device))
}

fn power(base: &Tensor, exponent: f64) -> Tensor {
    if exponent == 2.0 { base.square() } else { base.pow_tensor_scalar(exponent) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: ClassOutputs = ClassOutputs { sigmoid: 2, softmax: 3 };
    use serde_json::json;

    fn loss(config: Json, rows: &LabelledRows) -> f64 {
        let logits = Tensor::from_slice(&[0.0_f32, 2.0, -1.0, 0.5, 1.5, -3.0]).view([3, 2]);
        ClassLoss::read(&config, "loss", TWO).unwrap().forward(&logits, rows, 4.0).double_value(&[])
    }

    fn rows() -> LabelledRows {
        let mut rows = LabelledRows::default();
        rows.push(0, 1, 1.0);
        rows.push(2, 2, 0.5);
        rows
    }

    /// Without what the count's smallest step changes.
    fn is_near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }

    #[test]
    fn binary_and_focal_losses_are_those_of_their_formulas() {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let yes = |x: f64| -sigmoid(x).ln();
        let no = |x: f64| -(1.0 - sigmoid(x)).ln();
        let config = json!({"type": "CrossEntropyLoss", "use_sigmoid": true, "loss_weight": 3.0});
        let expected = no(0.0) + yes(2.0) + 0.5 * (no(1.5) + no(-3.0));
        is_near(loss(config, &rows()), 3.0 * expected / 4.0);
        let focal_no = |x: f64| 0.75 * sigmoid(x).powi(2) * no(x);
        let expected = focal_no(0.0)
            + 0.25 * (1.0 - sigmoid(2.0)).powi(2) * yes(2.0)
            + 0.5 * (focal_no(1.5) + focal_no(-3.0));
        is_near(loss(json!({"type": "FocalLoss"}), &rows()), expected / 4.0);
    }

    #[test]
    fn the_background_is_a_class_of_its_own_for_softmax() {
        let logits = Tensor::from_slice(&[1.0_f32, 2.0, 3.0]).view([1, 3]);
        let config = json!({"type": "CrossEntropyLoss", "class_weight": [1.0, 1.0, 2.0]});
        let loss = ClassLoss::read(&config, "loss", TWO).unwrap();
        assert_eq!(loss.outputs(2), 3);
        let mut rows = LabelledRows::default();
        rows.push(0, 2, 1.0);
        let sum = 1_f64.exp() + 2_f64.exp() + 3_f64.exp();
        is_near(loss.forward(&logits, &rows, 1.0).double_value(&[]), 2.0 * (sum.ln() - 3.0));
        assert_eq!(loss.scores(&logits).size(), [1, 2]);
    }

    #[test]
    fn sums_and_wrong_numbers_of_weights_are_refused() {
        let error =
            |config: Json| ClassLoss::read(&config, "loss_cls", TWO).unwrap_err().to_string();
        assert!(
            error(json!({"type": "FocalLoss", "reduction": "sum"}))
                .starts_with("loss_cls.reduction: expected 'mean'")
        );
        let config = json!({"type": "CrossEntropyLoss", "class_weight": [1.0, 1.0]});
        assert_eq!(error(config), "loss_cls.class_weight: expected 3 weights, found 2");
    }
}
