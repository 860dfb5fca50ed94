//! Less data than there is, for quick trials. Knows nothing of what is in a batch.

use serde_json::Value as Json;

use crate::{AnyBatch, BoxError, DataSource, Order, Rest};

/// How much of the data: a number of batches, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// So many batches, at least 1.
    Batches(u64),
    /// This share of the batches, above 0 and up to 1; at least one batch.
    Share(f64),
}

impl Amount {
    /// How many batches of `all` that is.
    pub fn of(self, all: usize) -> usize {
        match self {
            Amount::Batches(batches) => all.min(usize::try_from(batches).unwrap_or(usize::MAX)),
            Amount::Share(share) => ((all as f64 * share) as usize).clamp(1.min(all), all),
        }
    }
}

/// The first batches of every epoch, or of the first epoch again and again.
pub struct Limited {
    inner: Box<dyn DataSource>,
    amount: Amount,
    is_repeating: bool,
    left: usize,
}

impl Limited {
    /// The first batches of every epoch.
    pub fn new(inner: Box<dyn DataSource>, amount: Amount) -> Limited {
        Limited { inner, amount, is_repeating: false, left: 0 }
    }

    /// The first batches of the first epoch in every epoch, to see whether a model can learn them by heart.
    pub fn repeating(inner: Box<dyn DataSource>, amount: Amount) -> Limited {
        Limited { is_repeating: true, ..Limited::new(inner, amount) }
    }
}

impl DataSource for Limited {
    fn batches(&self) -> usize {
        self.inner.share_of(self.batches_of_all())
    }

    /// The limit is one for all ranks, so that an evaluation has the pictures that one process would have.
    fn batches_of_all(&self) -> usize {
        self.amount.of(self.inner.batches_of_all())
    }

    fn share_of(&self, batches: usize) -> usize {
        self.inner.share_of(batches)
    }

    fn order(&self) -> Order {
        match self.inner.order() {
            // Which samples come again depends on how many make a batch.
            _ if self.is_repeating => Order::Steps(Rest::Dropped),
            order if self.batches_of_all() == self.inner.batches_of_all() => order,
            Order::Passes(_) => Order::Passes(Rest::Dropped),
            Order::Stream | Order::Steps(_) => Order::Steps(Rest::Dropped),
        }
    }

    fn samples(&self) -> usize {
        self.inner.samples()
    }

    fn start_epoch(&mut self, epoch: u64, start: u64) -> Result<(), BoxError> {
        self.left = self.batches().saturating_sub(usize::try_from(start).unwrap_or(usize::MAX));
        let epoch = if self.is_repeating { 0 } else { epoch };
        self.inner.start_epoch(epoch, start)
    }

    fn next_batch(&mut self) -> Option<Result<AnyBatch, BoxError>> {
        self.left = self.left.checked_sub(1)?;
        self.inner.next_batch()
    }

    fn end_epoch(&mut self) {
        self.inner.end_epoch();
    }

    fn meta(&self) -> Json {
        self.inner.meta()
    }

    /// A few batches that come in every epoch are other data than all of them.
    fn fingerprint(&self) -> Option<String> {
        let all = self.inner.fingerprint()?;
        match self.is_repeating {
            true => Some(format!("{all}, {} batches of epoch 0", self.batches_of_all())),
            false => Some(all),
        }
    }

    fn set_epoch(&mut self, epoch: u64) {
        self.inner.set_epoch(if self.is_repeating { 0 } else { epoch });
    }

    fn skip_transforms(&mut self, types: &[String]) -> Result<(), BoxError> {
        self.inner.skip_transforms(types)
    }

    fn set_pipeline(&mut self, pipeline: &Json) -> Result<(), BoxError> {
        self.inner.set_pipeline(pipeline)
    }

    fn set_scale(&mut self, scale: [u64; 2]) -> Result<(), BoxError> {
        self.inner.set_scale(scale)
    }

    fn pipelines(&self) -> Vec<Json> {
        self.inner.pipelines()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches are `(epoch, number)`; ten of them an epoch.
    #[derive(Default)]
    struct Numbers {
        epoch: u64,
        next: u64,
    }

    impl DataSource for Numbers {
        fn batches(&self) -> usize {
            10
        }
        fn samples(&self) -> usize {
            10
        }
        fn start_epoch(&mut self, epoch: u64, start: u64) -> Result<(), BoxError> {
            (self.epoch, self.next) = (epoch, start);
            Ok(())
        }
        fn next_batch(&mut self) -> Option<Result<AnyBatch, BoxError>> {
            self.next += 1;
            (self.next <= 10).then(|| Ok(Box::new((self.epoch, self.next - 1)) as AnyBatch))
        }
        fn end_epoch(&mut self) {}
        fn meta(&self) -> Json {
            Json::Null
        }
        fn fingerprint(&self) -> Option<String> {
            Some("ten".to_owned())
        }
        fn set_epoch(&mut self, _: u64) {}
        fn skip_transforms(&mut self, _: &[String]) -> Result<(), BoxError> {
            Ok(())
        }
        fn set_pipeline(&mut self, _: &Json) -> Result<(), BoxError> {
            Ok(())
        }
    }

    fn epoch(data: &mut Limited, epoch: u64, start: u64) -> Vec<(u64, u64)> {
        data.start_epoch(epoch, start).unwrap();
        let batch = |batch: Result<AnyBatch, BoxError>| *batch.unwrap().downcast().unwrap();
        std::iter::from_fn(|| data.next_batch().map(batch)).collect()
    }

    #[test]
    fn an_epoch_ends_at_the_limit_wherever_it_starts() {
        let mut data = Limited::new(Box::new(Numbers::default()), Amount::Share(0.3));
        assert_eq!(data.batches(), 3);
        assert_eq!(epoch(&mut data, 4, 0), [(4, 0), (4, 1), (4, 2)]);
        assert_eq!(epoch(&mut data, 4, 2), [(4, 2)]);
        assert_eq!(epoch(&mut data, 4, 3), []);
    }

    #[test]
    fn repeating_data_is_the_first_epochs() {
        let mut data = Limited::repeating(Box::new(Numbers::default()), Amount::Batches(1));
        assert_eq!([epoch(&mut data, 0, 0), epoch(&mut data, 7, 0)], [[(0, 0)], [(0, 0)]]);
        let two = Limited::repeating(Box::new(Numbers::default()), Amount::Batches(2));
        let first = Limited::new(Box::new(Numbers::default()), Amount::Batches(1));
        let [data, two, first] = [data, two, first].map(|data| data.fingerprint().unwrap());
        assert!(data != two && data != first && first == "ten", "{data}, {two}, {first}");
    }

    #[test]
    fn an_amount_is_at_least_one_batch_and_at_most_all() {
        assert_eq!(Amount::Share(0.01).of(10), 1);
        assert_eq!(Amount::Batches(99).of(10), 10);
    }
}
