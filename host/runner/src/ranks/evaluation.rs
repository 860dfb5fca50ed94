//! Evaluations by several ranks: each predicts whole batches of a single process, every world-th one; rank 0 scores all of
//! them in their order, and every rank gets the numbers. So metrics and losses are those of a single process, whatever the
//! number of ranks.

use serde_json::{Value as Json, json};

use super::{Occasion, Ranks};
use crate::{Evaluation, Evaluator, RunError};

/// The predictions of a rank for its batches, each with a piece for each of its samples.
#[derive(Debug, Default)]
pub(crate) struct Share(Vec<Vec<u8>>);

impl Share {
    /// Adds a batch, were it an empty one: those after it count on.
    pub(crate) fn add(&mut self, samples: &[Vec<u8>]) {
        self.0.push(framed(samples));
    }
}

/// The losses of one batch; none of a batch that had no picture.
pub(crate) type BatchLosses = Vec<(String, f64)>;

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

    /// The losses of all batches, in the order in which a single process has them.
    ///
    /// Errors: a rank that is gone.
    pub(crate) fn gather_losses(
        &self,
        own: Vec<BatchLosses>,
    ) -> Result<Vec<BatchLosses>, RunError> {
        let Some(group) = &self.group else { return Ok(own) };
        let bits = |(name, loss): &(String, f64)| json!([name, loss.to_bits()]);
        let batch = |losses: &BatchLosses| losses.iter().map(bits).collect::<Vec<_>>();
        let own = json!(own.iter().map(batch).collect::<Vec<_>>()).to_string();
        let parts = group.all_gather_bytes(own.as_bytes())?;
        let part = |bytes: &Vec<u8>| {
            let part: Json = serde_json::from_slice(bytes).unwrap_or_default();
            part.as_array().map_or(&[][..], Vec::as_slice).iter().map(numbers).collect()
        };
        Ok(in_order(parts.iter().map(part).collect()))
    }
}

fn score(
    evaluator: &mut dyn Evaluator,
    parts: &[Vec<u8>],
    samples: usize,
) -> Result<Evaluation, RunError> {
    for batch in in_order(parts.iter().map(|part| unframed(part)).collect()) {
        for sample in unframed(batch) {
            evaluator.process_packed(sample).map_err(RunError::Metric)?;
        }
    }
    evaluator.evaluate(samples).map_err(RunError::Metric)
}

/// What each rank has of its batches, as one process has them: rank r has the batches r, r + world, r + 2 world, …
fn in_order<T>(parts: Vec<Vec<T>>) -> Vec<T> {
    let mut all = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
    loop {
        let before = all.len();
        all.extend(parts.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
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
    fn batches_come_in_the_order_of_one_process() {
        assert_eq!(in_order(vec![vec![0, 3, 6], vec![1, 4], vec![2, 5]]), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(in_order(vec![vec![0], vec![], vec![]]), [0]);
        let mut share = Share::default();
        [vec![b"a".to_vec(), b"b".to_vec()], vec![]].iter().for_each(|batch| share.add(batch));
        let bytes = framed(&share.0);
        assert_eq!(unframed(unframed(&bytes)[0]), [b"a", b"b"]);
        assert!(unframed(&bytes)[1].is_empty());
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
