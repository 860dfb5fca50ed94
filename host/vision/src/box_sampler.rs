//! Which of the assigned priors take part in a loss. Knows nothing of tensors.
//!
//! Source: MMDetection `models/task_modules/samplers/{base,random,pseudo,ohem}_sampler.py`. There, picks come from the
//! process's generator; here from the seed, the iteration and the picture.

use serde_json::Value as Json;
use snaphook_components::{Catalog, ComponentError, Role, read, type_name, vision};

use crate::max_iou::Assigned;
use crate::random::Random;

/// How priors are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum BoxSampler {
    /// All of them.
    All,
    /// So many, at random.
    Random(Share),
    /// So many, those with the largest loss.
    Hard(Share),
}

/// How many priors of a picture are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share {
    total: usize,
    positive_fraction: f64,
    negatives_per_positive: Option<usize>,
    adds_targets: bool,
}

/// The chosen priors of a picture, in rising order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// Row of the prior and of the box that it is to find.
    pub(crate) positive: Vec<(usize, usize)>,
    /// Rows of background.
    pub(crate) negative: Vec<usize>,
}

impl BoxSampler {
    pub(crate) fn read(value: &Json, path: &str) -> Result<BoxSampler, ComponentError> {
        macro_rules! share {
            ($kind:ty) => {{
                let own: $kind = read(value, path)?;
                Share {
                    total: own.num,
                    positive_fraction: own.pos_fraction,
                    negatives_per_positive: usize::try_from(own.neg_pos_ub).ok(),
                    adds_targets: own.add_gt_as_proposals,
                }
            }};
        }
        Ok(match type_name(Role::BoxSampler, value, path)? {
            "PseudoSampler" => {
                read::<vision::PseudoSampler>(value, path)?;
                BoxSampler::All
            }
            "RandomSampler" => BoxSampler::Random(share!(vision::RandomSampler)),
            "OHEMSampler" => BoxSampler::Hard(share!(vision::OhemSampler)),
            _ => return Err(Catalog::built_in().unknown(Role::BoxSampler, value, path).into()),
        })
    }

    /// Whether the boxes themselves are priors, too, before all others.
    pub(crate) fn adds_targets(&self) -> bool {
        match self {
            BoxSampler::All => false,
            BoxSampler::Random(share) | BoxSampler::Hard(share) => share.adds_targets,
        }
    }

    /// Chooses; `hardest` gives so many of these rows, those with the largest loss.
    pub(crate) fn choose(
        &self,
        assigned: &[Assigned],
        random: &mut Random,
        mut hardest: impl FnMut(Vec<usize>, usize) -> Vec<usize>,
    ) -> Chosen {
        let rows = |wanted: fn(&Assigned) -> bool| -> Vec<usize> {
            (0..assigned.len()).filter(|row| wanted(&assigned[*row])).collect()
        };
        let positive = rows(|assigned| matches!(assigned, Assigned::Target(_)));
        let negative = rows(|assigned| *assigned == Assigned::Background);
        let (positive, negative) = match self {
            BoxSampler::All => (positive, negative),
            BoxSampler::Random(share) => {
                let positive = random.choose(positive, share.most_positive());
                let most = share.most_negative(positive.len());
                (positive, random.choose(negative, most))
            }
            BoxSampler::Hard(share) => {
                let mut choose = |rows: Vec<usize>, most: usize| {
                    if rows.len() <= most {
                        return rows;
                    }
                    let mut rows = hardest(rows, most);
                    rows.sort_unstable();
                    rows
                };
                let positive = choose(positive, share.most_positive());
                let most = share.most_negative(positive.len());
                (positive, choose(negative, most))
            }
        };
        let with_target = |row: usize| match assigned[row] {
            Assigned::Target(target) => Some((row, target)),
            _ => None,
        };
        Chosen { positive: positive.into_iter().filter_map(with_target).collect(), negative }
    }
}

impl Share {
    fn most_positive(&self) -> usize {
        (self.total as f64 * self.positive_fraction) as usize
    }

    fn most_negative(&self, positive: usize) -> usize {
        let rest = self.total - positive.min(self.total);
        self.negatives_per_positive.map_or(rest, |most| rest.min(most * positive.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn assigned() -> Vec<Assigned> {
        let of = |row| match row {
            0..4 => Assigned::Target(row),
            4..6 => Assigned::Nothing,
            _ => Assigned::Background,
        };
        (0..20).map(of).collect()
    }

    fn chosen(config: Json) -> Chosen {
        let sampler = BoxSampler::read(&config, "").unwrap();
        sampler.choose(&assigned(), &mut Random::new(1, 1), |rows, most| {
            rows.into_iter().rev().take(most).collect()
        })
    }

    #[test]
    fn shares_are_kept_and_the_rest_is_background() {
        let config = json!({"type": "RandomSampler", "num": 8, "pos_fraction": 0.25});
        let few = chosen(config.clone());
        assert_eq!((few.positive.len(), few.negative.len()), (2, 6));
        assert!(few.positive.iter().all(|(row, target)| row == target && *row < 4));
        assert!(few.negative.iter().all(|row| *row >= 6));
        let mut bounded = config;
        bounded["neg_pos_ub"] = json!(2);
        assert_eq!(chosen(bounded).negative.len(), 4);
        let many = chosen(json!({"type": "RandomSampler", "num": 100, "pos_fraction": 0.5}));
        assert_eq!(many, chosen(json!({"type": "PseudoSampler"})));
        assert_eq!((many.positive.len(), many.negative.len()), (4, 14));
    }

    #[test]
    fn the_hardest_are_asked_for_where_there_are_too_many() {
        let found = chosen(json!({"type": "OHEMSampler", "num": 4, "pos_fraction": 0.5}));
        assert_eq!(found.positive, [(2, 2), (3, 3)]);
        assert_eq!(found.negative, [18, 19]);
    }
}
