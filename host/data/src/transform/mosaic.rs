//! `Mosaic` and `CachedMosaic`: four pictures around a random centre.
//! Knows nothing of how its partners are loaded.

use snaphook_components::data as declared;

use super::{Mixing, Surroundings, Transform};
use crate::dataset::Dataset;
use crate::image::{Image, ResizedRows, Window};
use crate::{DataError, Sample, SampleRng};

/// Puts four samples together to a picture of twice `img_scale`.
#[derive(Debug)]
pub(super) struct Mosaic {
    /// (width, height) of a quarter.
    img_scale: [usize; 2],
    center_ratio_range: [f64; 2],
    bbox_clip_border: bool,
    pad_val: [u8; 3],
    prob: f64,
    mixing: Mixing,
}

impl Mosaic {
    pub(super) fn new(declared: &declared::Mosaic) -> Self {
        Self {
            img_scale: declared.img_scale.into(),
            center_ratio_range: declared.center_ratio_range.into(),
            bbox_clip_border: declared.bbox_clip_border,
            pad_val: declared.pad_val.0,
            prob: declared.prob,
            mixing: Mixing::OtherDataset,
        }
    }

    pub(super) fn cached(declared: &declared::CachedMosaic) -> Self {
        Self {
            img_scale: declared.img_scale.into(),
            center_ratio_range: declared.center_ratio_range.into(),
            bbox_clip_border: declared.bbox_clip_border,
            pad_val: declared.pad_val.0,
            prob: declared.prob,
            mixing: Mixing::SamePipeline,
        }
    }

    fn random_centre(&self, rng: &mut SampleRng) -> [i64; 2] {
        let [low, high] = self.center_ratio_range;
        self.img_scale.map(|side| (rng.uniform(low, high) * side as f64) as i64)
    }

    /// Where a picture lies in its quarter of the canvas of (width, height).
    fn place(&self, image: &Image, quarter: usize, centre: [i64; 2], canvas: [usize; 2]) -> Place {
        let (width, height) = (image.width() as f64, image.height() as f64);
        let ratio = (self.img_scale[1] as f64 / height).min(self.img_scale[0] as f64 / width);
        let size = [(width * ratio) as i64, (height * ratio) as i64];
        Place {
            across: span(quarter.is_multiple_of(2), centre[0], size[0], canvas[0] as i64),
            down: span(quarter < 2, centre[1], size[1], canvas[1] as i64),
            size: (size[0] as usize, size[1] as usize),
            ratio: ratio as f32,
        }
    }
}

/// Where a picture lies in the canvas, and how large.
struct Place {
    across: Span,
    down: Span,
    size: (usize, usize),
    ratio: f32,
}

impl Place {
    /// The rows of what is seen of the picture.
    fn rows<'a>(&self, image: &'a Image) -> ResizedRows<'a> {
        let window = Window {
            x: self.across.from as usize,
            y: self.down.from as usize,
            width: self.across.length as usize,
            height: self.down.length as usize,
        };
        ResizedRows::new(image, self.size, window)
    }

    fn move_boxes(&self, sample: &mut Sample) {
        sample.rescale_boxes(self.ratio, self.ratio);
        let moved = |span: &Span| (span.to - span.from) as f32;
        sample.translate_boxes(moved(&self.across), moved(&self.down));
    }
}

/// Where a part lies along one axis: its pixels `from..from + length` go to `to` in the canvas.
struct Span {
    from: i64,
    to: i64,
    length: i64,
}

/// A part before the centre ends there, one behind it begins there.
fn span(is_before: bool, centre: i64, size: i64, canvas: i64) -> Span {
    if is_before {
        let to = (centre - size).max(0);
        Span { from: size - (centre - to), to, length: centre - to }
    } else {
        Span { from: 0, to: centre, length: size.min(canvas - centre) }
    }
}

impl Transform for Mosaic {
    fn mixing(&self) -> Mixing {
        self.mixing
    }

    fn partners(&self, dataset: &dyn Dataset, rng: &mut SampleRng) -> Vec<usize> {
        if rng.unit() > self.prob {
            return Vec::new();
        }
        (0..3).map(|_| rng.below(dataset.len())).collect()
    }

    fn apply(
        &self,
        sample: Sample,
        around: &mut Surroundings,
    ) -> Result<Option<Sample>, DataError> {
        if around.partners.is_empty() {
            return Ok(Some(sample));
        }
        let centre = self.random_centre(around.rng);
        let [width, height] = self.img_scale.map(|side| side * 2);
        let mut parts = vec![sample];
        parts.append(&mut around.partners);
        let place =
            |(i, part): (usize, &Sample)| self.place(&part.image, i, centre, [width, height]);
        let places: Vec<Place> = parts.iter().enumerate().map(place).collect();
        let mut rows: Vec<ResizedRows> =
            places.iter().zip(&parts).map(|(place, part)| place.rows(&part.image)).collect();
        let canvas = Image::by_rows(width, height, self.pad_val, |y, row| {
            for (rows, place) in rows.iter_mut().zip(&places) {
                if let Some(y) = y.checked_sub(place.down.to as usize) {
                    rows.write(y, &mut row[place.across.to as usize * 3..]);
                }
            }
        });
        let moved = parts.into_iter().zip(&places).map(|(mut part, place)| {
            place.move_boxes(&mut part);
            part
        });
        let joined = moved.reduce(|mut first, other| {
            first.append_boxes(other);
            first
        });
        let mut sample = joined.expect("the sample itself is one of the parts");
        sample.set_image(canvas);
        if self.bbox_clip_border {
            sample.clip_boxes([height, width]);
        }
        sample.retain_inside([height, width]);
        Ok(Some(sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::tests::grey_sample;
    use crate::transform::tests::apply_with;
    use serde_json::json;

    fn coloured(level: u8) -> Sample {
        let mut sample = grey_sample(8, 4, [2.0, 1.0, 6.0, 3.0]);
        sample.set_image(Image::filled(8, 4, [level; 3]));
        sample.labels = vec![i64::from(level)];
        sample
    }

    fn centred_mosaic() -> Sample {
        let config = json!({"type": "Mosaic", "img_scale": [16, 16], "center_ratio_range": [1, 1]});
        let partners = vec![coloured(2), coloured(3), coloured(4)];
        apply_with(&config, coloured(1), partners, 0).unwrap()
    }

    #[test]
    fn four_pictures_touch_at_the_centre() {
        let image = centred_mosaic().image;
        assert_eq!((image.width(), image.height()), (32, 32));
        let at = |x, y| image.pixel(x, y)[0];
        assert_eq!([at(15, 15), at(16, 15), at(15, 16), at(16, 16)], [1, 2, 3, 4]);
        // Each is 16 x 8 after the resize; the rest is padding.
        assert_eq!([at(0, 8), at(31, 23), at(0, 7), at(31, 24)], [1, 4, 114, 114]);
    }

    #[test]
    fn boxes_stay_on_their_objects() {
        let sample = centred_mosaic();
        assert_eq!(sample.labels, [1, 2, 3, 4]);
        assert_eq!(sample.boxes[0], [4.0, 10.0, 12.0, 14.0]);
        assert_eq!(sample.boxes[3], [20.0, 18.0, 28.0, 22.0]);
    }

    #[test]
    fn a_part_before_the_centre_loses_its_beginning() {
        let cut = span(true, 5, 8, 32);
        assert_eq!((cut.from, cut.to, cut.length), (3, 0, 5));
        let cut = span(false, 28, 8, 32);
        assert_eq!((cut.from, cut.to, cut.length), (0, 28, 4));
    }
}
