//! Boxes as four corners, on the CPU, and on their way there and back.

use tch::{Device, Tensor};

/// x1, y1, x2, y2 in pixels.
pub(crate) type Corners = [f32; 4];

/// Overlap over union; zero for boxes apart, for empty ones, and where a number is not finite.
///
/// Source: MMDetection `structures/bbox/bbox_overlaps.py`, with its smallest union of 1e-6.
pub(crate) fn iou(a: &Corners, b: &Corners) -> f32 {
    let width = a[2].min(b[2]) - a[0].max(b[0]);
    let height = a[3].min(b[3]) - a[1].max(b[1]);
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let overlap = width * height;
    let union = area(a) + area(b) - overlap;
    // A run that diverges predicts infinite boxes; `max` would turn their NaN into the smallest union.
    if union.is_finite() { overlap / union.max(1e-6) } else { 0.0 }
}

fn area(corners: &Corners) -> f32 {
    (corners[2] - corners[0]) * (corners[3] - corners[1])
}

/// The numbers of a tensor of f32, in order.
pub(crate) fn to_host(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_device(Device::Cpu).contiguous();
    let mut numbers = vec![0.0; tensor.numel()];
    tensor.copy_data(&mut numbers, tensor.numel());
    numbers
}

/// Shapes: `boxes` [N, 4] f32.
pub(crate) fn corners_of(boxes: &Tensor) -> Vec<Corners> {
    to_host(boxes).as_chunks().0.to_vec()
}

/// Shapes: the result [N, 4] f32.
pub(crate) fn from_corners(corners: &[Corners], device: Device) -> Tensor {
    Tensor::from_slice(corners.as_flattened()).view([-1, 4]).to_device(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_of_two_squares_one_pixel_apart_is_a_third() {
        assert!((iou(&[0.0, 0.0, 2.0, 2.0], &[1.0, 0.0, 3.0, 2.0]) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(iou(&[0.0, 0.0, 2.0, 2.0], &[2.0, 0.0, 3.0, 2.0]), 0.0);
        let infinite = f32::INFINITY;
        assert_eq!(iou(&[-infinite, -infinite, infinite, infinite], &[0.0, 0.0, 2.0, 2.0]), 0.0);
        assert_eq!(iou(&[f32::NAN; 4], &[0.0, 0.0, 2.0, 2.0]), 0.0);
    }
}
