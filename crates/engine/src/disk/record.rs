//! One record as the bytes of a file. It must not know folders, other records or what the payload means.
//!
//! Layout, integers little-endian: magic (8 bytes), format (4), kind (4), key (32), payload length (8), the payload,
//! SHA-256 over everything before it (32).

use std::io::{self, ErrorKind, Read, Write};

use sha2::{Digest, Sha256};

use super::key::Key;

/// Changes with the layout; folders of versions depend on it, so that records of an old layout are never met.
pub(super) const FORMAT: u32 = 1;
/// Bytes of a file besides its payload.
pub(super) const OVERHEAD_BYTES: u64 = (HEADER_BYTES + CHECKSUM_BYTES) as u64;

const MAGIC: &[u8; 8] = b"glossrec";
const HEADER_BYTES: usize = 56;
const CHECKSUM_BYTES: usize = 32;

/// What a record is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) key: Key,
    pub(super) kind: u8,
}

/// Bytes of the file that holds a payload.
pub(super) fn file_bytes(payload: &[&[u8]]) -> u64 {
    OVERHEAD_BYTES + payload_bytes(payload)
}

/// Writes a whole record.
pub(super) fn write(to: &mut impl Write, name: &Name, payload: &[&[u8]]) -> io::Result<()> {
    let header = header(name, payload_bytes(payload));
    let mut hash = Sha256::new_with_prefix(header);
    to.write_all(&header)?;
    for part in payload {
        hash.update(part);
        to.write_all(part)?;
    }
    to.write_all(&hash.finalize())
}

/// The payload of a file of so many bytes; `None` when it is not, byte for byte, a record of this name.
///
/// # Errors
///
/// When the system cannot read, or has no memory for the payload: that says nothing about the record.
pub(super) fn read(from: &mut impl Read, file_bytes: u64, name: &Name) -> io::Result<Option<Vec<u8>>> {
    let Some(length_bytes) = file_bytes.checked_sub(OVERHEAD_BYTES) else { return Ok(None) };
    let mut found = [0; HEADER_BYTES];
    if !filled(from.read_exact(&mut found))? || found != header(name, length_bytes) {
        return Ok(None);
    }
    let mut payload = Vec::new();
    let capacity = usize::try_from(length_bytes).map_err(|_| ErrorKind::OutOfMemory)?;
    payload.try_reserve_exact(capacity).map_err(|_| ErrorKind::OutOfMemory)?;
    from.take(length_bytes).read_to_end(&mut payload)?;
    let mut checksum = [0; CHECKSUM_BYTES];
    if !filled(from.read_exact(&mut checksum))? {
        return Ok(None);
    }
    let expected: [u8; CHECKSUM_BYTES] = Sha256::new_with_prefix(found).chain_update(&payload).finalize().into();
    Ok((payload.len() == capacity && checksum == expected).then_some(payload))
}

fn payload_bytes(payload: &[&[u8]]) -> u64 {
    payload.iter().map(|part| part.len() as u64).sum()
}

fn header(name: &Name, payload_bytes: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    header[12..16].copy_from_slice(&u32::from(name.kind).to_le_bytes());
    header[16..48].copy_from_slice(name.key.as_bytes());
    header[48..].copy_from_slice(&payload_bytes.to_le_bytes());
    header
}

/// Whether a buffer was filled; `false` when the file ended before.
fn filled(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
