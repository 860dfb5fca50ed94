//! Evaluations by several ranks: each predicts its share, rank 0 scores all of it in the order of the data set, and
//! every rank gets the numbers. So metrics are those of a single process, whatever the number of ranks.

use serde_json::{Value as Json, json};

use super::{Occasion, Ranks};
use crate::{Evaluation, Evaluator, RunError};

/// The predictions of a rank for its share of a data set.
#[derive(Debug, Default)]
pub(crate) struct Share(Vec<Vec<u8>>);

impl Share {
    pub(crate) fn add(&mut self, samples: Vec<Vec<u8>>) {
        self.0.extend(samples);
    }
}

impl Ranks {
    /// Scores what all ranks have predicted.
    ///
    /// Errors: a metric that cannot be computed, on every rank; a rank that is gone.
    pub(crate) fn evaluate(
        &mut self,
        evaluator: &mut dyn Evaluator,
        share: Share,
        samples: usize,
    ) -> Result<Evaluation, RunError> {
        let Some(group) = self.group.clone() else {
            return evaluator.evaluate(samples).map_err(RunError::Metric);
        };
        let parts = group.gather_bytes(&framed(&share.0), 0)?;
        let scored = match parts {
            Some(parts) => score(evaluator, &parts, samples).map(Some),
            None => Ok(None),
        };
        let scored = self.agree_on(Occasion::Evaluation, scored)?;
        let own =
            scored.as_ref().map_or(Vec::new(), |found| packed(found).to_string().into_bytes());
        let bytes = group.broadcast_bytes(&own, 0)?;
        match scored {
            Some(evaluation) => Ok(evaluation),
            None => Ok(unpacked(&serde_json::from_slice(&bytes).unwrap_or_default())),
        }
    }

    /// Sums of losses with the number of batches behind them, over all ranks.
    ///
    /// Errors: a rank that is gone.
    pub(crate) fn sum_losses(
        &self,
        sums: Vec<(String, f64)>,
        batches: u64,
    ) -> Result<(Vec<(String, f64)>, u64), RunError> {
        let Some(group) = &self.group else { return Ok((sums, batches)) };
        let bits: Vec<_> = sums.iter().map(|(name, sum)| json!([name, sum.to_bits()])).collect();
        let own = json!([batches, bits]).to_string();
        let (mut total, mut all): (Vec<(String, f64)>, u64) = (Vec::new(), 0);
        for part in group.all_gather_bytes(own.as_bytes())? {
            let part: Json = serde_json::from_slice(&part).unwrap_or_default();
            all += part[0].as_u64().unwrap_or(0);
            for (name, sum) in numbers(&part[1]) {
                match total.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) => *known += sum,
                    None => total.push((name, sum)),
                }
            }
        }
        Ok((total, all))
    }
}

fn score(
    evaluator: &mut dyn Evaluator,
    parts: &[Vec<u8>],
    samples: usize,
) -> Result<Evaluation, RunError> {
    let parts: Vec<Vec<&[u8]>> = parts.iter().map(|part| unframed(part)).collect();
    let longest = parts.iter().map(Vec::len).max().unwrap_or(0);
    // Rank r has the samples r, r + world, r + 2 world, …
    for at in 0..longest {
        for part in parts.iter().filter_map(|part| part.get(at)) {
            evaluator.process_packed(part).map_err(RunError::Metric)?;
        }
    }
    evaluator.evaluate(samples).map_err(RunError::Metric)
}

/// Each piece after its length.
fn framed(pieces: &[Vec<u8>]) -> Vec<u8> {
    pieces
        .iter()
        .flat_map(|piece| {
            (piece.len() as u64).to_le_bytes().into_iter().chain(piece.iter().copied())
        })
        .collect()
}

fn unframed(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut pieces) = (bytes, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<8>() {
        let length = (u64::from_le_bytes(*length) as usize).min(after.len());
        let (piece, next) = after.split_at(length);
        pieces.push(piece);
        rest = next;
    }
    pieces
}

/// As bits, so that every number arrives as it is, also one that JSON does not know.
fn packed(evaluation: &Evaluation) -> Json {
    let metric = |(name, value): &(String, f64)| json!([name, value.to_bits()]);
    json!({ "metrics": evaluation.metrics.iter().map(metric).collect::<Vec<_>>(), "table": evaluation.table })
}

fn unpacked(value: &Json) -> Evaluation {
    let table = value["table"].as_str().map(str::to_owned);
    // What the report shows besides is written by rank 0, which has it.
    Evaluation { metrics: numbers(&value["metrics"]), table, ..Evaluation::default() }
}

fn numbers(value: &Json) -> Vec<(String, f64)> {
    let entries = value.as_array().map_or(&[][..], Vec::as_slice);
    let entry = |entry: &Json| {
        let bits = entry[1].as_u64()?;
        Some((entry[0].as_str()?.to_owned(), f64::from_bits(bits)))
    };
    entries.iter().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_out_as_they_went_in() {
        let pieces = [b"one".to_vec(), Vec::new(), vec![0; 300]];
        assert_eq!(
            unframed(&framed(&pieces)),
            pieces.iter().map(Vec::as_slice).collect::<Vec<_>>()
        );
        assert!(unframed(&[]).is_empty());
    }

    #[test]
    fn metrics_keep_every_bit() {
        let metrics = vec![("a".to_owned(), f64::NAN), ("b".to_owned(), 0.1 + 0.2)];
        let found = unpacked(&packed(&Evaluation {
            metrics,
            table: Some("t".to_owned()),
            ..Evaluation::default()
        }));
        assert!(found.metrics[0].1.is_nan());
        assert_eq!((found.metrics[1].1, found.table.as_deref()), (0.1 + 0.2, Some("t")));
    }
}
