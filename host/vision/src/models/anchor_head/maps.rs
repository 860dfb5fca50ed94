//! What a head with anchors predicts, map by map, as a row per anchor.

use tch::{Kind, Tensor};

use crate::anchors::MapSize;

/// The predictions of all maps, fine to coarse.
///
/// Shapes: N pictures, P anchors of a map, C outputs of classes.
#[derive(Debug)]
pub(super) struct AnchorMaps {
    /// [N, P, C] each.
    pub(super) classes: Vec<Tensor>,
    /// [N, P, 4] each.
    pub(super) deltas: Vec<Tensor>,
    /// Height and width of each map.
    pub(super) sizes: Vec<MapSize>,
}

impl AnchorMaps {
    /// Shapes: of each pair, classes [N, A C, H, W] and differences [N, A 4, H, W].
    pub(super) fn new(predicted: Vec<(Tensor, Tensor)>, outputs: i64) -> AnchorMaps {
        let sizes = predicted.iter().map(|(classes, _)| (classes.size()[2], classes.size()[3]));
        let sizes = sizes.collect();
        let (classes, deltas) = predicted
            .into_iter()
            .map(|(classes, deltas)| (rows(&classes, outputs), rows(&deltas, 4)))
            .unzip();
        AnchorMaps { classes, deltas, sizes }
    }
}

/// In mixed precision losses take f32: pixels and logits lose too much in half of it.
///
/// Shapes: `map` [N, A K, H, W]; the result [N, H W A, K].
fn rows(map: &Tensor, numbers: i64) -> Tensor {
    let batch = map.size()[0];
    let rows = map.permute([0, 2, 3, 1]).reshape([batch, -1, numbers]);
    match rows.kind() {
        Kind::Half | Kind::BFloat16 => rows.to_kind(Kind::Float),
        _ => rows,
    }
}
