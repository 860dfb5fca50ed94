//! Boxes with labels drawn onto a picture.
//! Knows nothing of models; the caller has chosen what to draw, the text and the colours.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use super::{Image, hsv_to_bgr};

/// One box to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// Left, top, right, bottom in pixels.
    pub bbox: [f32; 4],
    /// Text at the box, such as `RBC 0.93`; nothing is written if it is empty.
    pub label_text: String,
    /// Blue, green, red.
    pub colour: [u8; 3],
}

/// Well distinguishable colours, one for each class; the same at every call.
pub fn class_colours(count: usize) -> Vec<[u8; 3]> {
    // Steps of the golden ratio around the circle of hues: neighbours are far apart for any count.
    (0..count)
        .map(|i| {
            let hue = (i as f64 * 0.618_033_988_75 * 180.0) as usize % 180;
            let (saturation, value) = ([230, 160, 255][i % 3], [255, 235, 190][i / 3 % 3]);
            let mut swatch = Image::filled(1, 1, [hue as u8, saturation, value]);
            hsv_to_bgr(&mut swatch);
            swatch.pixel(0, 0)
        })
        .collect()
}

/// Draws boxes and their labels; the lines and letters grow with the picture.
pub fn draw_detections(image: &mut Image, detections: &[Drawn]) {
    let shorter = image.width().min(image.height());
    let thickness = (shorter / 240).clamp(1, 4) as i64;
    for detection in detections {
        draw_frame(image, detection, thickness);
    }
    let letters = if shorter >= 480 { RasterHeight::Size24 } else { RasterHeight::Size16 };
    for detection in detections.iter().filter(|d| !d.label_text.is_empty()) {
        draw_label(image, detection, letters);
    }
}

fn rounded(bbox: [f32; 4]) -> [i64; 4] {
    bbox.map(|v| v.round() as i64)
}

fn fill(image: &mut Image, [x1, y1, x2, y2]: [i64; 4], colour: [u8; 3]) {
    let columns =
        x1.clamp(0, image.width() as i64) as usize..x2.clamp(0, image.width() as i64) as usize;
    let rows = y1.clamp(0, image.height() as i64)..y2.clamp(0, image.height() as i64);
    if columns.is_empty() {
        return;
    }
    for y in rows {
        for pixel in image.row_mut(y as usize)[columns.start * 3..columns.end * 3].as_chunks_mut().0
        {
            *pixel = colour;
        }
    }
}

fn draw_frame(image: &mut Image, detection: &Drawn, t: i64) {
    let [x1, y1, x2, y2] = rounded(detection.bbox);
    for side in
        [[x1, y1, x2, y1 + t], [x1, y2 - t, x2, y2], [x1, y1, x1 + t, y2], [x2 - t, y1, x2, y2]]
    {
        fill(image, side, detection.colour);
    }
}

fn draw_label(image: &mut Image, detection: &Drawn, letters: RasterHeight) {
    let advance = get_raster_width(FontWeight::Regular, letters) as i64;
    let height = letters.val() as i64;
    let width = advance * detection.label_text.chars().count() as i64 + 4;
    let [x1, y1, ..] = rounded(detection.bbox);
    let x = x1.min(image.width() as i64 - width).max(0);
    // Above the box, or inside it at the upper rim of the picture.
    let y = if y1 >= height { y1 - height } else { y1.max(0) };
    fill(image, [x, y, x + width, y + height], detection.colour);
    let ink = readable_on(detection.colour);
    for (i, letter) in detection.label_text.chars().enumerate() {
        draw_letter(image, letter, letters, (x + 2 + i as i64 * advance, y), ink);
    }
}

fn readable_on([b, g, r]: [u8; 3]) -> [u8; 3] {
    let brightness = 0.114 * f32::from(b) + 0.587 * f32::from(g) + 0.299 * f32::from(r);
    if brightness > 140.0 { [0; 3] } else { [255; 3] }
}

fn draw_letter(image: &mut Image, letter: char, size: RasterHeight, at: (i64, i64), ink: [u8; 3]) {
    let found = get_raster(letter, FontWeight::Regular, size);
    let Some(raster) = found.or_else(|| get_raster('?', FontWeight::Regular, size)) else { return };
    for (dy, row) in raster.rows().enumerate() {
        for (dx, &cover) in row.iter().enumerate().filter(|(_, cover)| **cover > 0) {
            let (x, y) = (at.0 + dx as i64, at.1 + dy as i64);
            if x < 0 || y < 0 || x >= image.width() as i64 || y >= image.height() as i64 {
                continue;
            }
            let below = image.pixel(x as usize, y as usize);
            let mixed = std::array::from_fn(|c| {
                let (over, under) = (u32::from(ink[c]), u32::from(below[c]));
                ((over * u32::from(cover) + under * (255 - u32::from(cover))) / 255) as u8
            });
            image.set_pixel(x, y, mixed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_drawn_at_its_rim_only() {
        let mut image = Image::filled(20, 20, [0; 3]);
        let drawn =
            Drawn { bbox: [5.0, 6.0, 15.0, 16.0], label_text: String::new(), colour: [1, 2, 3] };
        draw_detections(&mut image, &[drawn]);
        assert_eq!(image.pixel(5, 6), [1, 2, 3]);
        assert_eq!(image.pixel(14, 15), [1, 2, 3]);
        assert_eq!(image.pixel(10, 10), [0; 3]);
        assert_eq!(image.pixel(15, 16), [0; 3]);
    }

    #[test]
    fn labels_leave_ink_and_boxes_outside_do_no_harm() {
        let mut image = Image::filled(60, 40, [0; 3]);
        let drawn = |bbox| Drawn { bbox, label_text: "RBC 0.93 é".into(), colour: [0, 0, 255] };
        draw_detections(
            &mut image,
            &[drawn([-9.0, -9.0, 900.0, 5.0]), drawn([f32::NAN; 4]), drawn([1e9; 4])],
        );
        assert!(image.data().as_chunks::<3>().0.contains(&[255, 255, 255]));
    }

    #[test]
    fn colours_of_classes_differ() {
        let colours = class_colours(80);
        let distinct: std::collections::HashSet<_> = colours.iter().collect();
        assert_eq!(distinct.len(), 80);
    }
}
