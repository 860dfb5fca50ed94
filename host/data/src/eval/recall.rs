//! Recall of boxes whatever their class, by MMDetection's own count (`proposal_fast`).
//! Knows nothing of precision.
//!
//! Source: MMDetection 3.3.0 `evaluation/functional/recall.py`: of a picture, again and again the best pair of an
//! object and a box that are both free.

use super::mean::mean;
use super::overlap::overlap;

/// One picture: its objects, and the boxes found in it, best first.
pub(super) struct Picture {
    pub(super) objects: Vec<[f32; 4]>,
    pub(super) found: Vec<[f32; 4]>,
}

/// For each limit of boxes, the mean over the thresholds of the share of objects that are found.
pub(super) fn average_recalls(
    pictures: &[Picture],
    limits: [usize; 3],
    thresholds: &[f64],
) -> [f64; 3] {
    let total: usize = pictures.iter().map(|picture| picture.objects.len()).sum();
    limits.map(|limit| {
        let best: Vec<f32> =
            pictures.iter().flat_map(|picture| best_pairs(picture, limit)).collect();
        let recall = |threshold: &f64| {
            let found = best.iter().filter(|overlap| f64::from(**overlap) >= *threshold).count();
            found as f64 / total.max(1) as f64
        };
        mean(&thresholds.iter().map(recall).collect::<Vec<f64>>()).unwrap_or(0.0)
    })
}

/// The overlap of each object with its box, in no order; without a box it is -1 or, where there is none at all, 0.
fn best_pairs(picture: &Picture, limit: usize) -> Vec<f32> {
    let found = &picture.found[..picture.found.len().min(limit)];
    if found.is_empty() {
        return vec![0.0; picture.objects.len()];
    }
    let row = |object: &[f32; 4]| found.iter().map(|b| overlap(object, b, 0.0)).collect();
    let mut overlaps: Vec<Vec<f32>> = picture.objects.iter().map(row).collect();
    (0..picture.objects.len()).map(|_| take_best(&mut overlaps)).collect()
}

/// Takes the largest overlap, with its row and column; the first of equal ones.
fn take_best(overlaps: &mut [Vec<f32>]) -> f32 {
    let (mut best, mut place) = (f32::MIN, (0, 0));
    for (row, columns) in overlaps.iter().enumerate() {
        for (column, overlap) in columns.iter().enumerate() {
            if *overlap > best {
                (best, place) = (*overlap, (row, column));
            }
        }
    }
    overlaps[place.0].fill(-1.0);
    overlaps.iter_mut().for_each(|columns| columns[place.1] = -1.0);
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_finds_one_object_only() {
        let square = |x: f32| [x, 0.0, x + 10.0, 10.0];
        let picture = Picture { objects: vec![square(0.0), square(1.0)], found: vec![square(0.0)] };
        let empty = Picture { objects: vec![square(0.0)], found: vec![] };
        let recalls = average_recalls(&[picture, empty], [1, 2, 3], &[0.5]);
        assert_eq!(recalls, [1.0 / 3.0; 3]);
    }
}
