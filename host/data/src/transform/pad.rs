//! `Pad`: grows a picture to a size, a multiple or a square.
//! Knows nothing of boxes: they stay where they are, padding is added right and below.

use snaphook_components::data as declared;

use super::{Surroundings, Transform};
use crate::image::{Border, pad};
use crate::{DataError, Sample};

/// Pads at the right and at the bottom.
#[derive(Debug)]
pub(super) struct Pad {
    /// (width, height).
    size: Option<[usize; 2]>,
    size_divisor: Option<usize>,
    pad_to_square: bool,
    border: Border,
}

impl Pad {
    pub(super) fn new(declared: &declared::Pad) -> Self {
        Self {
            size: declared.size.map(<[usize; 2]>::from),
            size_divisor: declared.size_divisor,
            pad_to_square: declared.pad_to_square,
            border: match declared.padding_mode.as_str() {
                "edge" => Border::Edge,
                "reflect" => Border::Reflect,
                "symmetric" => Border::Symmetric,
                _ => Border::Constant(declared.pad_val.0.0),
            },
        }
    }
}

impl Transform for Pad {
    fn apply(&self, mut sample: Sample, _: &mut Surroundings) -> Result<Option<Sample>, DataError> {
        let [height, width] = sample.image.shape();
        let mut size = self.size.unwrap_or([width, height]);
        if self.pad_to_square {
            size = [width.max(height); 2];
        }
        if let Some(divisor) = self.size_divisor {
            size = size.map(|side| side.div_ceil(divisor) * divisor);
        }
        let image = std::mem::take(&mut sample.image);
        sample.set_image(pad(image, size[0], size[1], self.border));
        Ok(Some(sample))
    }
}

#[cfg(test)]
mod tests {
    use crate::sample::tests::grey_sample;
    use crate::transform::{build_transform, tests::apply};
    use serde_json::json;

    #[test]
    fn square_divisor_and_size() {
        let shape = |config| apply(&config, grey_sample(10, 7, [0.0; 4])).unwrap().meta.img_shape;
        assert_eq!(shape(json!({"type": "Pad", "pad_to_square": true})), [10, 10]);
        assert_eq!(shape(json!({"type": "Pad", "size_divisor": 4})), [8, 12]);
        assert_eq!(
            shape(json!({"type": "Pad", "pad_to_square": true, "size_divisor": 4})),
            [12, 12]
        );
        assert_eq!(shape(json!({"type": "Pad", "size": [20, 16]})), [16, 20]);
        assert!(build_transform(&json!({"type": "Pad"})).is_err());
    }

    #[test]
    fn pad_val_is_a_number_or_a_dict() {
        let corner = |pad_val| {
            let config = json!({"type": "Pad", "pad_to_square": true, "pad_val": pad_val});
            apply(&config, grey_sample(4, 2, [0.0; 4])).unwrap().image.pixel(3, 3)
        };
        assert_eq!(corner(json!({"img": [114.0, 113.0, 112.0]})), [114, 113, 112]);
        assert_eq!(corner(json!(7)), [7; 3]);
        assert_eq!(corner(json!({"seg": 255})), [0; 3]);
    }
}
