//! Draws a small data set of coloured shapes, so that there is something to train on without a download.
//! Knows nothing of detectors.
//!
//! Colour, size and place say nothing of the class; grounds have gradients, stripes, lines and noise, so
//! that a detector has to learn the outlines.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::image::{Image, hsv_to_bgr};
use crate::{DataError, SampleRng};

/// The classes that are drawn.
pub const CLASSES: [&str; 3] = ["circle", "square", "triangle"];

/// How much is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShapesOptions {
    /// Pictures for training.
    pub train: usize,
    /// Pictures for validation.
    pub val: usize,
    /// Width and height in pixels.
    pub size: usize,
    /// The same seed draws the same pictures.
    pub seed: u64,
}

impl Default for ShapesOptions {
    fn default() -> Self {
        Self { train: 200, val: 50, size: 160, seed: 0 }
    }
}

impl ShapesOptions {
    /// Draws `train/*.jpg`, `val/*.jpg`, and at last `annotations/train.json`, `annotations/val.json`, in
    /// COCO's format. Files of the same names are replaced.
    ///
    /// Errors: a folder or file that cannot be written, named.
    pub fn draw_into(&self, folder: &Path) -> Result<(), DataError> {
        for (split, (name, count)) in
            [("train", self.train), ("val", self.val)].into_iter().enumerate()
        {
            let pictures = folder.join(name);
            make_folder(&pictures)?;
            let mut coco = Coco::default();
            for number in 0..count {
                let mut rng = SampleRng::for_sample(self.seed, split as u64, number as u64);
                let (image, shapes) = draw_picture(self.size, &mut rng);
                let file_name = format!("{number:05}.jpg");
                image.save(&pictures.join(&file_name))?;
                coco.push(file_name, &image, &shapes);
            }
            make_folder(&folder.join("annotations"))?;
            let path = folder.join("annotations").join(format!("{name}.json"));
            let text = coco.into_json().to_string();
            fs::write(&path, text).map_err(|source| DataError::WriteFile { path, source })?;
        }
        Ok(())
    }
}

fn make_folder(path: &Path) -> Result<(), DataError> {
    fs::create_dir_all(path)
        .map_err(|source| DataError::WriteFile { path: path.to_owned(), source })
}

#[derive(Default)]
struct Coco {
    images: Vec<Value>,
    annotations: Vec<Value>,
}

impl Coco {
    fn push(&mut self, file_name: String, image: &Image, shapes: &[Shape]) {
        let id = self.images.len() + 1;
        let (width, height) = (image.width(), image.height());
        self.images
            .push(json!({"id": id, "file_name": file_name, "width": width, "height": height}));
        for shape in shapes {
            let [x1, y1, x2, y2] = shape.bounds();
            self.annotations.push(json!({
                "id": self.annotations.len() + 1,
                "image_id": id,
                "category_id": shape.class + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }));
        }
    }

    fn into_json(self) -> Value {
        let category = |(i, name): (usize, &&str)| json!({"id": i + 1, "name": name});
        let categories: Vec<Value> = CLASSES.iter().enumerate().map(category).collect();
        json!({"images": self.images, "annotations": self.annotations, "categories": categories})
    }
}

/// A circle of a radius, or a regular polygon with its corners on that circle.
struct Shape {
    class: usize,
    centre: [f64; 2],
    radius: f64,
    angle: f64,
}

impl Shape {
    fn random(size: usize, rng: &mut SampleRng) -> Self {
        let size = size as f64;
        let radius = rng.uniform(0.08, 0.2) * size;
        let place = |rng: &mut SampleRng| rng.uniform(radius, size - radius);
        let centre = [place(rng), place(rng)];
        let class = rng.below(CLASSES.len());
        // A square on its corner and one on its side both occur, and triangles in any direction.
        Self { class, centre, radius, angle: rng.uniform(0.0, std::f64::consts::TAU) }
    }

    fn corners(&self) -> Vec<[f64; 2]> {
        let count = if self.class == 1 { 4 } else { 3 };
        let corner = |i: usize| {
            let angle = self.angle + std::f64::consts::TAU * i as f64 / count as f64;
            [self.centre[0] + self.radius * angle.cos(), self.centre[1] + self.radius * angle.sin()]
        };
        (0..count).map(corner).collect()
    }

    /// Left, top, right, bottom, to a tenth of a pixel.
    fn bounds(&self) -> [f64; 4] {
        let ([x, y], r) = (self.centre, self.radius);
        let tight = if self.class == 0 {
            [x - r, y - r, x + r, y + r]
        } else {
            let start = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
            self.corners().iter().fold(start, |b, c| {
                [b[0].min(c[0]), b[1].min(c[1]), b[2].max(c[0]), b[3].max(c[1])]
            })
        };
        tight.map(|v| (v * 10.0).round() / 10.0)
    }

    fn contains(&self, corners: &[[f64; 2]], x: f64, y: f64) -> bool {
        if self.class == 0 {
            let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
            return dx * dx + dy * dy <= self.radius * self.radius;
        }
        let next = corners.iter().cycle().skip(1);
        corners
            .iter()
            .zip(next)
            .all(|(a, b)| (b[0] - a[0]) * (y - a[1]) >= (b[1] - a[1]) * (x - a[0]))
    }

    fn overlaps(&self, other: &Self) -> bool {
        let [dx, dy] = [0, 1].map(|i| self.centre[i] - other.centre[i]);
        (dx * dx + dy * dy).sqrt() < 0.8 * (self.radius + other.radius)
    }

    fn draw(&self, image: &mut Image, colour: [u8; 3]) {
        const STEPS: i64 = 3;
        let corners = self.corners();
        let [x1, y1, x2, y2] = self.bounds();
        for y in y1 as i64..=y2 as i64 {
            for x in x1 as i64..=x2 as i64 {
                let inside = |i: i64| {
                    let (dx, dy) = (i % STEPS, i / STEPS);
                    let at =
                        |start: i64, step: i64| start as f64 + (step as f64 + 0.5) / STEPS as f64;
                    self.contains(&corners, at(x, dx), at(y, dy))
                };
                let cover = (0..STEPS * STEPS).filter(|i| inside(*i)).count() as u32;
                blend(image, x, y, colour, cover, (STEPS * STEPS) as u32);
            }
        }
    }
}

fn blend(image: &mut Image, x: i64, y: i64, colour: [u8; 3], cover: u32, whole: u32) {
    let is_inside = x >= 0 && y >= 0 && x < image.width() as i64 && y < image.height() as i64;
    if cover > 0 && is_inside {
        let below = image.pixel(x as usize, y as usize);
        let mixed = |c: usize| {
            (u32::from(colour[c]) * cover + u32::from(below[c]) * (whole - cover)) / whole
        };
        image.set_pixel(x, y, std::array::from_fn(|c| mixed(c) as u8));
    }
}

fn random_colour(rng: &mut SampleRng, saturation: [f64; 2], value: [f64; 2]) -> [u8; 3] {
    let hue = rng.below(180) as u8;
    let channel = |rng: &mut SampleRng, range: [f64; 2]| rng.uniform(range[0], range[1]) as u8;
    let mut swatch = Image::filled(1, 1, [hue, channel(rng, saturation), channel(rng, value)]);
    hsv_to_bgr(&mut swatch);
    swatch.pixel(0, 0)
}

fn draw_picture(size: usize, rng: &mut SampleRng) -> (Image, Vec<Shape>) {
    let mut image = draw_ground(size, rng);
    for _ in 0..rng.below(4) {
        draw_line(&mut image, rng);
    }
    let wanted = 1 + rng.below(5);
    let mut shapes: Vec<Shape> = Vec::new();
    for _ in 0..wanted * 10 {
        let shape = Shape::random(size, rng);
        if shapes.len() < wanted && !shapes.iter().any(|s| s.overlaps(&shape)) {
            let colour = random_colour(rng, [90.0, 255.0], [130.0, 255.0]);
            shape.draw(&mut image, colour);
            shapes.push(shape);
        }
    }
    for byte in image.data_mut() {
        *byte = (i16::from(*byte) + rng.below(17) as i16 - 8).clamp(0, 255) as u8;
    }
    (image, shapes)
}

/// A gradient between two dull colours, with stripes.
fn draw_ground(size: usize, rng: &mut SampleRng) -> Image {
    let (from, to) = (
        random_colour(rng, [0.0, 90.0], [30.0, 150.0]),
        random_colour(rng, [0.0, 90.0], [30.0, 150.0]),
    );
    let angle = rng.uniform(0.0, std::f64::consts::TAU);
    let (sin, cos) = angle.sin_cos();
    let (wave, depth) = (rng.uniform(0.1, 0.8), rng.uniform(0.0, 22.0));
    let mut image = Image::filled(size, size, [0; 3]);
    for y in 0..size {
        for x in 0..size {
            let (u, v) = (x as f64 * cos + y as f64 * sin, y as f64 * cos - x as f64 * sin);
            let share = (0.5 + u / size as f64 / 2.0).clamp(0.0, 1.0);
            let stripe = (v * wave).sin() * depth;
            let level =
                |c: usize| f64::from(from[c]) * (1.0 - share) + f64::from(to[c]) * share + stripe;
            image.set_pixel(
                x as i64,
                y as i64,
                std::array::from_fn(|c| level(c).clamp(0.0, 255.0) as u8),
            );
        }
    }
    image
}

/// A thin line across, in a colour that a shape might have: not everything bright is an object.
fn draw_line(image: &mut Image, rng: &mut SampleRng) {
    let size = image.width() as f64;
    let [x1, y1, x2, y2] = [(); 4].map(|()| rng.uniform(0.0, size));
    let colour = random_colour(rng, [60.0, 255.0], [100.0, 255.0]);
    let steps = image.width() * 3;
    for step in 0..=steps {
        let share = step as f64 / steps as f64;
        let (x, y) = (x1 + (x2 - x1) * share, y1 + (y2 - y1) * share);
        blend(image, x as i64, y as i64, colour, 1, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build_dataset;

    const OPTIONS: ShapesOptions = ShapesOptions { train: 6, val: 2, size: 96, seed: 3 };

    #[test]
    fn the_same_seed_draws_the_same_pictures() {
        let draw = |seed| draw_picture(64, &mut SampleRng::new(seed)).0;
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn what_is_drawn_is_a_coco_data_set() {
        let folder = tempfile::tempdir().unwrap();
        OPTIONS.draw_into(folder.path()).unwrap();
        let dataset = build_dataset(&json!({
            "type": "CocoDataset", "data_root": folder.path(), "ann_file": "annotations/train.json",
            "data_prefix": {"img": "train"}, "metainfo": {"classes": CLASSES},
        }));
        let dataset = dataset.unwrap();
        assert_eq!(dataset.len(), 6);
        assert!((0..6).all(|i| !dataset.record(i).instances.is_empty()));
    }

    #[test]
    fn shapes_lie_within_the_picture_and_their_bounds_are_tight() {
        for seed in 0..50 {
            for shape in draw_picture(100, &mut SampleRng::new(seed)).1 {
                let [x1, y1, x2, y2] = shape.bounds();
                assert!(x1 >= -0.1 && y1 >= -0.1 && x2 <= 100.1 && y2 <= 100.1);
                let corners = shape.corners();
                let middle = [(x1 + x2) / 2.0, (y1 + y2) / 2.0];
                assert!(shape.contains(&corners, shape.centre[0], shape.centre[1]), "{middle:?}");
                assert!(!shape.contains(&corners, x1 - 0.2, middle[1]));
            }
        }
    }
}
