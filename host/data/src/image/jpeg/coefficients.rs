//! The coefficients of one component: of the whole picture, or of the blocks that are decoded at a time.
//! Knows nothing of how they are coded.

/// Coefficients row by row, as the file has them: not yet multiplied with their steps.
pub(super) type Block = [i16; 64];

/// Blocks in rows.
#[derive(Debug, Default)]
pub(super) struct Coefficients {
    pub(super) blocks: Vec<Block>,
    /// For each block the place, in the order of the file, after which all coefficients are zero.
    pub(super) lasts: Vec<u8>,
    /// Blocks in a row.
    pub(super) across: usize,
}

impl Coefficients {
    pub(super) fn new(across: usize, down: usize) -> Self {
        Self { blocks: vec![[0; 64]; across * down], lasts: vec![0; across * down], across }
    }

    /// Back to zeros.
    pub(super) fn clear(&mut self) {
        self.blocks.fill([0; 64]);
    }

    /// Notes for each block where its coefficients end, roughly and never too early.
    pub(super) fn find_lasts(&mut self) {
        for (block, last) in self.blocks.iter().zip(&mut self.lasts) {
            let has_any = |places: &[i16]| places.iter().fold(0, |any, &value| any | value) != 0;
            let (rows, _) = block.as_chunks::<8>();
            let is_small =
                !has_any(&block[32..]) && !rows[..4].iter().any(|row| has_any(&row[4..]));
            *last = match is_small {
                true if !has_any(&block[1..]) => 0,
                true => 9,
                false => 63,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_found() {
        let mut coefficients = Coefficients::new(4, 1);
        for (block, place) in [(0, 0), (1, 27), (2, 4), (3, 32)] {
            coefficients.blocks[block][place] = -3;
        }
        coefficients.find_lasts();
        assert_eq!(coefficients.lasts, [0, 9, 63, 63]);
        coefficients.clear();
        coefficients.find_lasts();
        assert_eq!(coefficients.lasts, [0; 4]);
    }
}
