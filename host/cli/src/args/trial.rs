//! Flags for quick trials, by Lightning's names. Knows nothing of how they are carried out.

use std::str::FromStr;

use clap::Args;

/// How much of the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// So many batches, at least 1.
    Batches(u64),
    /// This share of the batches, above 0 and up to 1.
    Share(f64),
}

/// `10` is ten batches, `0.1` a tenth of them, `1.0` all.
///
/// Source: `limit_train_batches` of Lightning's `Trainer`.
impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Amount, String> {
        match (text.parse::<u64>(), text.parse::<f64>()) {
            (Ok(batches), _) if batches > 0 => Ok(Amount::Batches(batches)),
            (Err(_), Ok(share)) if share > 0.0 && share <= 1.0 => Ok(Amount::Share(share)),
            _ => Err("expected a number of batches from 1 on, or a share such as 0.1".to_owned()),
        }
    }
}

/// What makes a run a quick trial.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Quick trials")]
pub struct TrialArguments {
    /// Builds everything, lists the hooks in their order, tells time and memory of a step, writes nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Trains N batches [default: 1] and validates N, then ends; saves no checkpoint.
    #[arg(long, alias = "fast_dev_run", value_name = "N", num_args = 0..=1, default_missing_value = "1", value_parser = at_least_one)]
    pub fast_dev_run: Option<u64>,
    /// Trains on the same N batches (or the share 0.N) in every epoch, to see whether the model can learn them.
    #[arg(long, alias = "overfit_batches", value_name = "N", conflicts_with_all = ["limit_train_batches", "fast_dev_run"])]
    pub overfit_batches: Option<Amount>,
    /// Trains the first N batches (or the share 0.N) of every epoch.
    #[arg(long, alias = "limit_train_batches", value_name = "N", conflicts_with = "fast_dev_run")]
    pub limit_train_batches: Option<Amount>,
    /// Validates the first N batches (or the share 0.N) of every set.
    #[arg(long, alias = "limit_val_batches", value_name = "N", conflicts_with = "fast_dev_run")]
    pub limit_val_batches: Option<Amount>,
    /// Validates N batches [default: 2] before training, to find mistakes in the validation then.
    #[arg(long, alias = "sanity_val", value_name = "N", num_args = 0..=1, default_missing_value = "2", value_parser = at_least_one)]
    pub sanity_val: Option<u64>,
}

fn at_least_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => {
            Err("expected a whole number of at least 1 (a config goes before the flag)".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_batches_or_shares() {
        assert_eq!("10".parse(), Ok(Amount::Batches(10)));
        assert_eq!("0.1".parse(), Ok(Amount::Share(0.1)));
        assert_eq!("1.0".parse(), Ok(Amount::Share(1.0)));
        for wrong in ["0", "-1", "1.5", "0.0", "many", "nan"] {
            assert!(wrong.parse::<Amount>().is_err(), "{wrong}");
        }
    }
}
