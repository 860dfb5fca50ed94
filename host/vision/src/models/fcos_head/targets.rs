//! Which place is to find which box: plain numbers on the CPU.
//!
//! Source: arXiv 1904.01355 section 3.1; MMDetection `models/dense_heads/fcos_head.py`, `_get_targets_single`.

use crate::sim_ota::Targets;

/// Which places may find which boxes.
#[derive(Clone, Debug)]
pub(super) struct PlaceRules {
    /// Shortest and longest distance that each map is to find, in pixels.
    pub(super) ranges: Vec<(f32, f32)>,
    /// How far a place may be from a box's middle, in pixels, for each map; `None` where it has to be inside alone.
    pub(super) radii: Option<Vec<f32>>,
}

/// What a place is to find.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    /// Its row among the boxes of the picture.
    pub(super) target: usize,
    /// Left, top, right, bottom, in pixels.
    pub(super) distances: [f32; 4],
}

impl PlaceRules {
    /// What each place of a picture is to find; `None` is background. Of several boxes it is the smallest, of equal ones
    /// the first.
    pub(super) fn assign(
        &self,
        points: &[[f32; 2]],
        counts: &[usize],
        targets: &Targets,
    ) -> Vec<Option<Found>> {
        let mut found = Vec::with_capacity(points.len());
        let mut first = 0;
        for (level, &count) in counts.iter().enumerate() {
            let own = &points[first..first + count];
            found.extend(own.iter().map(|point| self.smallest(*point, level, targets)));
            first += count;
        }
        found
    }

    fn smallest(&self, [x, y]: [f32; 2], level: usize, targets: &Targets) -> Option<Found> {
        let (low, high) = self.ranges[level];
        let mut best: Option<(f32, Found)> = None;
        for (target, bbox) in targets.boxes.iter().enumerate() {
            let [x1, y1, x2, y2] = *bbox;
            let distances = [x - x1, y - y1, x2 - x, y2 - y];
            let longest = distances.into_iter().fold(f32::NEG_INFINITY, f32::max);
            let is_inside = match &self.radii {
                None => distances.into_iter().all(|distance| distance > 0.0),
                Some(radii) => is_near_middle([x, y], *bbox, radii[level]),
            };
            if !is_inside || !(low..=high).contains(&longest) {
                continue;
            }
            let area = (x2 - x1) * (y2 - y1);
            if best.is_none_or(|(smallest, _)| area < smallest) {
                best = Some((area, Found { target, distances }));
            }
        }
        best.map(|(_, found)| found)
    }
}

/// Whether a place is inside of the part of a box that is around its middle.
fn is_near_middle([x, y]: [f32; 2], [x1, y1, x2, y2]: [f32; 4], radius: f32) -> bool {
    let (middle_x, middle_y) = ((x1 + x2) / 2.0, (y1 + y2) / 2.0);
    let (left, top) = ((middle_x - radius).max(x1), (middle_y - radius).max(y1));
    let (right, bottom) = ((middle_x + radius).min(x2), (middle_y + radius).min(y2));
    x - left > 0.0 && right - x > 0.0 && y - top > 0.0 && bottom - y > 0.0
}

/// How near a place is to the middle of its box: 1 there, 0 at the rim.
///
/// Source: arXiv 1904.01355, equation 3.
pub(super) fn centerness([left, top, right, bottom]: [f32; 4]) -> f32 {
    let ratio = |a: f32, b: f32| a.min(b) / a.max(b);
    (ratio(left, right) * ratio(top, bottom)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINTS: [[f32; 2]; 3] = [[4.0, 4.0], [12.0, 4.0], [8.0, 8.0]];

    fn rows(rules: &PlaceRules, boxes: &[[f32; 4]]) -> Vec<Option<usize>> {
        let targets = Targets { boxes: boxes.to_vec(), labels: vec![0; boxes.len()] };
        let found = rules.assign(&POINTS, &[2, 1], &targets);
        found.into_iter().map(|found| found.map(|found| found.target)).collect()
    }

    #[test]
    fn the_smallest_box_around_a_place_is_found_by_the_map_of_its_size() {
        let ranges = vec![(-1.0, 8.0), (9.0, 64.0)];
        let rules = PlaceRules { ranges, radii: None };
        let boxes = [[0.0, 0.0, 10.0, 10.0], [2.0, 2.0, 6.0, 6.0], [-20.0, -20.0, 40.0, 40.0]];
        assert_eq!(rows(&rules, &boxes), [Some(1), None, Some(2)]);
        assert_eq!(rows(&rules, &[]), [None; 3]);
        // The rim does not count as inside.
        assert_eq!(rows(&rules, &[[4.0, 0.0, 10.0, 10.0]]), [None; 3]);
    }

    #[test]
    fn places_far_from_the_middle_are_background() {
        let ranges = vec![(-1.0, 64.0), (64.0, 128.0)];
        let wide = [[0.0, 0.0, 40.0, 8.0]];
        let rules = |radii| PlaceRules { ranges: ranges.clone(), radii };
        assert_eq!(rows(&rules(None), &wide), [Some(0), Some(0), None]);
        assert_eq!(rows(&rules(Some(vec![12.0, 24.0])), &wide), [None, Some(0), None]);
    }

    #[test]
    fn centerness_falls_to_the_rim() {
        assert_eq!(centerness([2.0, 3.0, 2.0, 3.0]), 1.0);
        assert_eq!(centerness([1.0, 3.0, 4.0, 3.0]), 0.5);
    }
}
