//! Stacks pictures of bytes into one tensor of floats: channel order, mean, deviation, padding, random size.
//!
//! Source: MMDetection `models/data_preprocessors/data_preprocessor.py`, `DetDataPreprocessor`.

use serde_json::Value as Json;
use snaphook_components::vision as declared;
use snaphook_components::{ComponentError, Role, read, type_name};
use snaphook_runner::StepContext;
use tch::{Device, Kind, Tensor};

use super::BatchAugment;
use crate::ModelError;
use crate::sim_ota::Targets;

/// A picture's bytes: rows of pixels of blue, green, red.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// What a model must know of a picture besides its pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PictureShape {
    /// Height and width in the batch, without margins.
    pub(crate) size: [usize; 2],
    /// The same with the margins that the picture has of its own: those of the batch may be larger.
    pub(crate) padded: [usize; 2],
    /// Factors in x and y from the original picture to this one.
    pub(crate) scale: [f32; 2],
}

/// A batch as the backbone takes it.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Shapes: [N, 3, H, W] f32.
    pub(crate) images: Tensor,
    /// One for each picture.
    pub(crate) shapes: Vec<PictureShape>,
}

/// What `data_preprocessor` of a model says.
#[derive(Debug)]
pub(crate) struct DetDataPreprocessor {
    /// Mean and deviation per channel, after the change of order.
    normalisation: Option<(Tensor, Tensor)>,
    swaps_channels: bool,
    pad_size_divisor: usize,
    pad_value: f64,
    augments: Vec<BatchAugment>,
    device: Device,
}

impl DetDataPreprocessor {
    /// Pictures as they are, in one tensor.
    pub(crate) fn plain(device: Device) -> DetDataPreprocessor {
        DetDataPreprocessor {
            normalisation: None,
            swaps_channels: false,
            pad_size_divisor: 1,
            pad_value: 0.0,
            augments: Vec::new(),
            device,
        }
    }

    pub(crate) fn read(
        value: &Json,
        path: &str,
        device: Device,
    ) -> Result<DetDataPreprocessor, ComponentError> {
        if type_name(Role::DataPreprocessor, value, path)? == "ClsDataPreprocessor" {
            let declared: declared::ClsDataPreprocessor = read(value, path)?;
            return Ok(DetDataPreprocessor {
                normalisation: normalisation(declared.mean, declared.std, device),
                swaps_channels: declared.to_rgb,
                pad_size_divisor: declared.pad_size_divisor,
                pad_value: declared.pad_value,
                ..DetDataPreprocessor::plain(device)
            });
        }
        let declared: declared::DetDataPreprocessor = read(value, path)?;
        let augment = |(i, value): (usize, &Json)| {
            BatchAugment::read(value, &format!("{path}.batch_augments.{i}"))
        };
        let augments = declared.batch_augments.iter().enumerate().map(augment);
        Ok(DetDataPreprocessor {
            normalisation: normalisation(declared.mean, declared.std, device),
            swaps_channels: declared.bgr_to_rgb || declared.rgb_to_bgr,
            pad_size_divisor: declared.pad_size_divisor,
            pad_value: declared.pad_value,
            augments: augments.collect::<Result<_, _>>()?,
            device,
        })
    }

    /// The pictures of a batch, at the size of the largest.
    ///
    /// Shapes: the result [N, 3, H, W] f32, channels last in memory: that is the order that the bytes have, and
    /// convolutions on a CPU are faster with it.
    pub(crate) fn images(&self, pictures: &[Pixels<'_>]) -> Result<Tensor, ModelError> {
        let largest = |side: fn(&Pixels<'_>) -> usize| pictures.iter().map(side).max();
        let (Some(height), Some(width)) = (largest(|p| p.height), largest(|p| p.width)) else {
            return Err(ModelError::EmptyBatch);
        };
        let height = height.next_multiple_of(self.pad_size_divisor);
        let width = width.next_multiple_of(self.pad_size_divisor);
        let mut bytes = Vec::with_capacity(pictures.len() * height * width * 3);
        pictures.iter().for_each(|picture| append(&mut bytes, picture, height, width));
        let size = [pictures.len() as i64, height as i64, width as i64, 3];
        let mut images = Tensor::from_data_size(&bytes, &size, Kind::Uint8)
            .to_device(self.device)
            .to_kind(Kind::Float);
        if self.swaps_channels {
            images = images.flip([3]);
        }
        if let Some((mean, deviation)) = &self.normalisation {
            images = (images - mean) / deviation;
        }
        self.fill_margins(&images, pictures);
        Ok(images.permute([0, 3, 1, 2]))
    }

    /// Sizes of the pictures of a batch; `scales` are those of their meta data.
    pub(crate) fn shapes(&self, pictures: &[Pixels<'_>], scales: &[[f32; 2]]) -> Vec<PictureShape> {
        let divisor = self.pad_size_divisor;
        let shape = |(picture, scale): (&Pixels<'_>, &[f32; 2])| PictureShape {
            size: [picture.height, picture.width],
            padded: [picture.height, picture.width].map(|side| side.next_multiple_of(divisor)),
            scale: *scale,
        };
        pictures.iter().zip(scales).map(shape).collect()
    }

    /// The pictures of a batch with their sizes.
    pub(crate) fn prepare(
        &self,
        pictures: &[Pixels<'_>],
        scales: &[[f32; 2]],
    ) -> Result<Prepared, ModelError> {
        Ok(Prepared { images: self.images(pictures)?, shapes: self.shapes(pictures, scales) })
    }

    /// The same for training: random sizes, with the boxes scaled along.
    pub(crate) fn prepare_training(
        &self,
        pictures: &[Pixels<'_>],
        scales: &[[f32; 2]],
        targets: &mut [Targets],
        context: &StepContext,
    ) -> Result<Prepared, ModelError> {
        let mut prepared = self.prepare(pictures, scales)?;
        for augment in &self.augments {
            augment.apply(&mut prepared, targets, context);
        }
        Ok(prepared)
    }

    /// Shapes: `images` [N, H, W, 3].
    fn fill_margins(&self, images: &Tensor, pictures: &[Pixels<'_>]) {
        let (height, width) = (images.size()[1], images.size()[2]);
        for (i, picture) in pictures.iter().enumerate() {
            let (own_height, own_width) = (picture.height as i64, picture.width as i64);
            let image = images.select(0, i as i64);
            let _ = image.narrow(0, own_height, height - own_height).fill_(self.pad_value);
            let _ = image.narrow(1, own_width, width - own_width).fill_(self.pad_value);
        }
    }
}

fn normalisation(
    mean: Option<Vec<f64>>,
    deviation: Option<Vec<f64>>,
    device: Device,
) -> Option<(Tensor, Tensor)> {
    let tensor =
        |numbers: Vec<f64>| Tensor::from_slice(&numbers).to_kind(Kind::Float).to_device(device);
    mean.map(tensor).zip(deviation.map(tensor))
}

/// Appends a picture with margins at the right and the bottom.
fn append(bytes: &mut Vec<u8>, picture: &Pixels<'_>, height: usize, width: usize) {
    let end = bytes.len() + height * width * 3;
    if picture.width == width {
        bytes.extend_from_slice(picture.bytes);
    } else if picture.width > 0 {
        for row in picture.bytes.chunks_exact(picture.width * 3) {
            bytes.extend_from_slice(row);
            bytes.resize(bytes.len() + (width - picture.width) * 3, 0);
        }
    }
    bytes.resize(end, 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn preprocessor(config: serde_json::Value) -> DetDataPreprocessor {
        DetDataPreprocessor::read(&config, "", Device::Cpu).unwrap()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.reshape([-1])).unwrap()
    }

    #[test]
    fn smaller_pictures_get_margins_of_the_pad_value_at_the_right_and_the_bottom() {
        let small = Pixels { bytes: &[1, 2, 3], height: 1, width: 1 };
        let large = Pixels { bytes: &[9; 6], height: 1, width: 2 };
        let config =
            json!({"type": "mmdet.DetDataPreprocessor", "pad_size_divisor": 2, "pad_value": 7});
        let images = preprocessor(config).images(&[small, large]).unwrap();
        assert_eq!(images.size(), [2, 3, 2, 2]);
        let first = images.select(0, 0);
        assert_eq!(values(&first.select(0, 0)), [1.0, 7.0, 7.0, 7.0]);
        assert_eq!(values(&images.select(0, 1).select(0, 2)), [9.0, 9.0, 7.0, 7.0]);
    }

    #[test]
    fn channels_change_order_before_mean_and_deviation() {
        let picture = Pixels { bytes: &[10, 20, 30], height: 1, width: 1 };
        let config = json!({"type": "DetDataPreprocessor", "bgr_to_rgb": true,
            "mean": [30, 0, 0], "std": [1, 2, 10]});
        let images = preprocessor(config).images(&[picture]).unwrap();
        assert_eq!(values(&images), [0.0, 10.0, 1.0]);
    }

    #[test]
    fn boxes_follow_the_random_size() {
        let config = json!({"type": "DetDataPreprocessor", "batch_augments": [
            {"type": "BatchSyncRandomResize", "random_size_range": [64, 64], "interval": 1}]});
        let bytes = vec![5; 32 * 32 * 3];
        let picture = Pixels { bytes: &bytes, height: 32, width: 32 };
        let mut targets = [Targets { boxes: vec![[1.0, 2.0, 3.0, 4.0]], labels: vec![0] }];
        let context = StepContext { iter: 1, epoch: 0, seed: 0 };
        let preprocessor = preprocessor(config);
        let prepared = preprocessor
            .prepare_training(&[picture], &[[1.0, 1.0]], &mut targets, &context)
            .unwrap();
        assert_eq!(prepared.images.size(), [1, 3, 64, 64]);
        assert_eq!(prepared.shapes[0].size, [64, 64]);
        assert_eq!(targets[0].boxes, [[2.0, 4.0, 6.0, 8.0]]);
    }

    #[test]
    fn batches_of_a_fixed_size_have_margins_up_to_it() {
        let config = json!({"type": "DetDataPreprocessor", "batch_augments": [
            {"type": "BatchFixedSizePad", "size": [4, 6], "img_pad_value": 3}]});
        let picture = Pixels { bytes: &[5; 2 * 3 * 3], height: 2, width: 3 };
        let prepared = preprocessor(config)
            .prepare_training(&[picture], &[[1.0, 1.0]], &mut [], &StepContext::default())
            .unwrap();
        assert_eq!(prepared.images.size(), [1, 3, 4, 6]);
        assert_eq!(
            prepared.shapes[0],
            PictureShape { size: [2, 3], padded: [4, 6], scale: [1.0; 2] }
        );
        let rows = prepared.images.select(1, 0).select(0, 0);
        assert_eq!(values(&rows.select(0, 1)), [5.0, 5.0, 5.0, 3.0, 3.0, 3.0]);
        assert_eq!(values(&rows.select(0, 2)), [3.0; 6]);
    }
}
