//! Fields that frames and replies share, written and read.

use crate::dictionary::DictionaryName;
use crate::object::{ContentHash, MAX_ID_BYTES, ObjectError, ObjectId, ObjectName};
use crate::varint;

/// Bytes of the checksum at the end.
pub(crate) const CHECKSUM_LEN: usize = 4;

/// Appends the CRC-32C of everything before.
pub(crate) fn seal(out: &mut Vec<u8>) {
    let checksum = crc32c::crc32c(out);
    out.extend_from_slice(&checksum.to_le_bytes());
}

/// What [`seal`] covered, if it is undamaged.
pub(crate) fn unseal(sealed: &[u8]) -> Result<&[u8], ObjectError> {
    let (covered, checksum) = sealed.split_last_chunk().ok_or(ObjectError::Truncated)?;
    if crc32c::crc32c(covered) == u32::from_le_bytes(*checksum) {
        Ok(covered)
    } else {
        Err(ObjectError::Checksum)
    }
}

/// Appends the full name of an object.
pub(crate) fn put_name(out: &mut Vec<u8>, name: &ObjectName) {
    put_id(out, &name.id);
    varint::put(out, name.version);
    out.extend_from_slice(&name.hash.0);
}

/// Takes what [`put_name`] wrote.
pub(crate) fn take_name(rest: &mut &[u8]) -> Result<ObjectName, ObjectError> {
    Ok(ObjectName {
        id: take_id(rest)?.ok_or(ObjectError::Malformed("object without an id"))?,
        version: take_varint(rest)?,
        hash: ContentHash(take_array(rest)?),
    })
}

/// Appends the name of a dictionary.
pub(crate) fn put_dictionary(out: &mut Vec<u8>, name: &DictionaryName) {
    varint::put(out, u64::from(name.id));
    varint::put(out, u64::from(name.version));
    out.extend_from_slice(&name.fingerprint);
}

/// Takes what [`put_dictionary`] wrote.
pub(crate) fn take_dictionary(rest: &mut &[u8]) -> Result<DictionaryName, ObjectError> {
    Ok(DictionaryName {
        id: take_u32(rest)?,
        version: take_u32(rest)?,
        fingerprint: take_array(rest)?,
    })
}

/// Appends an id, its length first.
pub(crate) fn put_id(out: &mut Vec<u8>, id: &ObjectId) {
    let text = id.as_str().as_bytes();
    out.push(text.len() as u8);
    out.extend_from_slice(text);
}

/// Takes an id; `None` for one of no length.
pub(crate) fn take_id(rest: &mut &[u8]) -> Result<Option<ObjectId>, ObjectError> {
    const { assert!(MAX_ID_BYTES == u8::MAX as usize) };
    let [len] = take_array(rest)?;
    let (text, after) = rest
        .split_at_checked(usize::from(len))
        .ok_or(ObjectError::Truncated)?;
    *rest = after;
    if text.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(text).map_err(|_| ObjectError::Malformed("id is not UTF-8"))?;
    Ok(Some(ObjectId::new(text).expect("a length that fits a byte")))
}

/// Takes an integer of up to 64 bits.
pub(crate) fn take_varint(rest: &mut &[u8]) -> Result<u64, ObjectError> {
    let cut_off = rest.len() < varint::MAX_LEN && rest.iter().all(|byte| byte & 0x80 != 0);
    if cut_off {
        return Err(ObjectError::Truncated);
    }
    varint::take(rest).ok_or(ObjectError::Malformed("integer"))
}

/// Takes an integer of up to 32 bits.
pub(crate) fn take_u32(rest: &mut &[u8]) -> Result<u32, ObjectError> {
    u32::try_from(take_varint(rest)?).map_err(|_| ObjectError::Malformed("integer"))
}

/// Takes `N` bytes.
pub(crate) fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ObjectError> {
    let (array, after) = rest.split_first_chunk().ok_or(ObjectError::Truncated)?;
    *rest = after;
    Ok(*array)
}
