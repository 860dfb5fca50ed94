//! A run of pixels that are gathered one at a time and then computed with as plain rows of bytes.
//! Knows nothing of where they come from.

/// Pixels of a run.
pub(super) const PIXELS: usize = 128;
/// Bytes of a run.
pub(super) const BYTES: usize = PIXELS * 3;

/// The bytes of a run of pixels.
#[derive(Debug)]
pub(super) struct Plane([u8; BYTES + 1]);

impl Plane {
    pub(super) const EMPTY: Self = Self([0; BYTES + 1]);

    /// Sets pixel `place` to the lower three bytes. All four are stored, which is one instruction: the pixel after
    /// this one is set later, and behind the last one is a byte of room.
    #[inline(always)]
    pub(super) fn put(&mut self, place: usize, pixel: u32) {
        if let Some(bytes) = self.0[place * 3..].first_chunk_mut() {
            *bytes = pixel.to_le_bytes();
        }
    }

    #[inline(always)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0[..BYTES]
    }
}

/// The eight bytes from `at` on: two pixels and a rest. None are there so near to the end.
#[inline(always)]
pub(super) fn eight(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
