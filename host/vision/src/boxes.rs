//! Boxes as four corners, on the CPU.

/// x1, y1, x2, y2 in pixels.
pub(crate) type Corners = [f32; 4];

/// Overlap over union; zero for boxes apart and for empty ones.
///
/// Source: MMDetection `structures/bbox/bbox_overlaps.py`, with its smallest union of 1e-6.
pub(crate) fn iou(a: &Corners, b: &Corners) -> f32 {
    let width = a[2].min(b[2]) - a[0].max(b[0]);
    let height = a[3].min(b[3]) - a[1].max(b[1]);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let overlap = width * height;
    overlap / (area(a) + area(b) - overlap).max(1e-6)
}

fn area(corners: &Corners) -> f32 {
    (corners[2] - corners[0]) * (corners[3] - corners[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_of_two_squares_one_pixel_apart_is_a_third() {
        assert!((iou(&[0.0, 0.0, 2.0, 2.0], &[1.0, 0.0, 3.0, 2.0]) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(iou(&[0.0, 0.0, 2.0, 2.0], &[2.0, 0.0, 3.0, 2.0]), 0.0);
    }
}
