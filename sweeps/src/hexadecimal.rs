//! Hashes in memory as their 32 bytes and in files as 64 hexadecimal digits.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// As a text, or nothing.
pub fn serialize<S: Serializer>(hash: &Option<[u8; 32]>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = hash.map(|bytes| blake3::Hash::from_bytes(bytes).to_hex());
    text.as_ref().map(|text| text.as_str()).serialize(serializer)
}

/// Refuses what is no hash.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[u8; 32]>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let hash = text.map(blake3::Hash::from_hex).transpose();
    Ok(hash.map_err(D::Error::custom)?.map(<[u8; 32]>::from))
}
