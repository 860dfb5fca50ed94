//! TFRecord framing: a record's length, the length's checksum, the record, the record's checksum.
//! Knows nothing of what is in a record.
//!
//! Source: TensorFlow `core/lib/io/record_writer.h`, `core/lib/hash/crc32c.h` (mask). Numbers are little-endian.

/// CRC-32C (Castagnoli), reflected polynomial.
const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ (crc >> 8);
    !bytes.iter().fold(!0, step)
}

/// The checksum as it is stored: a checksum of data that holds checksums would be weak.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A record with its frame.
pub(super) fn framed(record: &[u8]) -> Vec<u8> {
    let length = (record.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(record.len() + 16);
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked(&length).to_le_bytes());
    out.extend_from_slice(record);
    out.extend_from_slice(&masked(record).to_le_bytes());
    out
}

/// The records of a file's bytes; the reason with its place where a frame is broken.
pub(super) fn records(bytes: &[u8]) -> Result<Vec<&[u8]>, String> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (record, next) = record_at(bytes, at).map_err(|what| format!("byte {at}: {what}"))?;
        records.push(record);
        at = next;
    }
    Ok(records)
}

fn record_at(bytes: &[u8], at: usize) -> Result<(&[u8], usize), &'static str> {
    let cut = "expected a whole record, found the end of the file";
    let length_bytes: [u8; 8] =
        bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).ok_or(cut)?;
    if checksum(bytes, at + 8).ok_or(cut)? != masked(&length_bytes) {
        return Err("the checksum of the length is wrong");
    }
    let length = usize::try_from(u64::from_le_bytes(length_bytes)).map_err(|_| cut)?;
    let begin = at + 12;
    let end = begin.checked_add(length).ok_or(cut)?;
    let record = bytes.get(begin..end).ok_or(cut)?;
    if checksum(bytes, end).ok_or(cut)? != masked(record) {
        return Err("the checksum of the record is wrong");
    }
    Ok((record, end + 4))
}

fn checksum(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_rfc_3720() {
        // Appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46dd_794e);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn records_come_back_and_damage_is_found() {
        let mut bytes = framed(b"first");
        bytes.extend(framed(b""));
        bytes.extend(framed(&[7; 300]));
        assert_eq!(records(&bytes).unwrap(), [b"first".as_slice(), b"", &[7; 300]]);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(records(&damaged).is_err(), "byte {at}");
        }
        for length in 1..bytes.len() {
            let whole = [21, 37].contains(&length);
            assert_eq!(records(&bytes[..length]).is_ok(), whole, "cut at {length}");
        }
    }
}
