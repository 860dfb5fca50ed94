//! Overlaps of boxes as MMDetection's numpy functions compute them: single precision, with or without a pixel
//! added to each side.
//! Knows nothing of scores.
//!
//! Source: MMDetection 3.3.0 `evaluation/functional/bbox_overlaps.py`.

/// Intersection over union; `extra` is 1 where a box of x1 = x2 is one pixel wide, else 0.
pub(super) fn overlap(a: &[f32; 4], b: &[f32; 4], extra: f32) -> f32 {
    let side = |from: f32, to: f32| (to - from + extra).max(0.0);
    let area = |c: &[f32; 4]| (c[2] - c[0] + extra) * (c[3] - c[1] + extra);
    let both = side(a[0].max(b[0]), a[2].min(b[2])) * side(a[1].max(b[1]), a[3].min(b[3]));
    both / (area(a) + area(b) - both).max(1e-6)
}

#[cfg(test)]
mod tests {
    use super::overlap;

    #[test]
    fn a_pixel_more_makes_thin_boxes_count() {
        let (a, b) = ([0.0, 0.0, 9.0, 0.0], [5.0, 0.0, 14.0, 0.0]);
        assert_eq!((overlap(&a, &b, 1.0), overlap(&a, &b, 0.0)), (5.0 / 15.0, 0.0));
    }
}
