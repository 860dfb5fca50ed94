//! What the benchmarks train: four convolutions of stride 2 and two lines, 5.8 million parameters, 23 MB of gradients.
#![allow(clippy::unwrap_used)] // a benchmark that cannot run is to say where

use snaphook_c10d::{Group, Reducer, ReducerOptions, backward};
use tch::{Device, Kind, Tensor, no_grad};

pub(crate) struct SmallNetwork {
    pub(crate) parameters: Vec<(String, Tensor)>,
    images: Tensor,
    labels: Tensor,
}

/// What a trainer adds to a step where several ranks train: the exchange of gradients, in buckets that stay as they are made,
/// and in each step a word on what ranks do next, which is Snaphook's own.
pub(crate) struct Exchange {
    group: Group,
    reducer: Reducer,
    agrees: bool,
}

impl Exchange {
    pub(crate) fn new(group: &Group, network: &SmallNetwork, agrees: bool) -> Exchange {
        let options = ReducerOptions { keep_buckets: true, ..ReducerOptions::default() };
        let reducer = Reducer::new(group, &network.parameters, options).unwrap();
        Exchange { group: group.clone(), reducer, agrees }
    }
}

impl SmallNetwork {
    /// With a batch of pictures of 64 by 64.
    pub(crate) fn new(device: Device, batch: i64) -> SmallNetwork {
        let shapes: [&[i64]; 6] = [
            &[64, 3, 3, 3],
            &[128, 64, 3, 3],
            &[256, 128, 3, 3],
            &[512, 256, 3, 3],
            &[512, 8192],
            &[10, 512],
        ];
        tch::manual_seed(0);
        let parameter = |(at, shape): (usize, &&[i64])| {
            let inputs: i64 = shape[1..].iter().product();
            let values = Tensor::randn(*shape, tch::kind::FLOAT_CPU) * (2.0 / inputs as f64).sqrt();
            (format!("layer{at}.weight"), values.to_device(device).set_requires_grad(true))
        };
        SmallNetwork {
            parameters: shapes.iter().enumerate().map(parameter).collect(),
            images: Tensor::randn([batch, 3, 64, 64], tch::kind::FLOAT_CPU).to_device(device),
            labels: Tensor::randint(10, [batch], (Kind::Int64, Device::Cpu)).to_device(device),
        }
    }

    fn loss(&self) -> Tensor {
        let weights: Vec<&Tensor> = self.parameters.iter().map(|(_, weight)| weight).collect();
        let mut x = self.images.shallow_clone();
        for weight in &weights[..4] {
            x = x.conv2d(weight, None::<&Tensor>, [2, 2], [1, 1], [1, 1], 1).relu();
        }
        let x = x.flatten(1, -1).linear(weights[4], None::<&Tensor>).relu();
        x.linear(weights[5], None::<&Tensor>).cross_entropy_for_logits(&self.labels)
    }

    /// One step of training.
    pub(crate) fn step(&self, exchange: Option<&Exchange>) {
        if let Some(Exchange { reducer, .. }) = exchange {
            reducer.prepare_forward().unwrap();
        }
        let loss = self.loss();
        match exchange {
            Some(Exchange { reducer, .. }) => {
                reducer.prepare_backward(&[&loss]).unwrap();
                reducer.backward(&loss).unwrap();
            }
            None => backward(&loss).unwrap(),
        }
        no_grad(|| {
            for (_, parameter) in &self.parameters {
                let mut gradient = parameter.grad();
                let _ = parameter.shallow_clone().g_add_(&(&gradient * -1e-3));
                let _ = gradient.zero_();
            }
        });
        if let Some(Exchange { group, agrees: true, .. }) = exchange {
            // Five numbers to each rank, as the runner's meetings.
            let count = 5 * group.size() as i64;
            let own = Tensor::zeros([count], (Kind::Double, Device::Cpu));
            let _ = group.all_to_all(&own).unwrap();
        }
    }
}
