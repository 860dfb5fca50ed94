//! What a detector finds.

use snaphook_data::{Detection, ImageId};

/// What was found in one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct PicturePredictions {
    /// Which picture of its data set.
    pub img_id: ImageId,
    /// Boxes, best first, in pixels of the original picture.
    pub detections: Vec<Detection>,
}

/// What was found in the pictures of a batch, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions(pub Vec<PicturePredictions>);
