//! What stands in the place of cryptography: a tag of the right length over a message's bytes, keyed by the tunnel's
//! name.
//!
//! It tells damaged and foreign messages from genuine ones, as real tags do, and protects against nobody: the keys of
//! a simulation are no secret.

/// Length of a tag: that of WireGuard's MACs and of an AES-GCM ICV.
pub(crate) const TAG_LEN: usize = 16;

const CONTEXT: &str = "longhaul 2026 tunnel tag v1";

/// The key of one tunnel.
#[derive(Clone, Debug)]
pub(crate) struct Seal([u8; 32]);

impl Seal {
    pub(crate) fn new(tunnel: &str) -> Seal {
        Seal(blake3::derive_key(CONTEXT, tunnel.as_bytes()))
    }

    /// The tag of these bytes.
    pub(crate) fn tag(&self, bytes: &[u8]) -> [u8; TAG_LEN] {
        let hash = blake3::keyed_hash(&self.0, bytes);
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&hash.as_bytes()[..TAG_LEN]);
        tag
    }

    /// Writes the tag of what comes before into the last bytes.
    pub(crate) fn close(&self, message: &mut [u8]) {
        let at = message.len() - TAG_LEN;
        let tag = self.tag(&message[..at]);
        message[at..].copy_from_slice(&tag);
    }

    /// Whether the last bytes are the tag of what comes before.
    pub(crate) fn is_genuine(&self, message: &[u8]) -> bool {
        let split = message.split_last_chunk::<TAG_LEN>();
        split.is_some_and(|(before, tag)| self.tag(before) == *tag)
    }
}
