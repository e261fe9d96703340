//! What a receiver holds, as the encoder sees it.

use crate::PAGE_SIZE;
use crate::decode::PageStore;

/// Name of an image that the receiver holds besides the one that frames update: of another guest, or of the same one
/// at another time. The two ends agree on what it stands for; its content must not change while frames refer to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ImageId(pub u64);

/// The sender's view of what its receiver holds. [`Encoder::encode_with`](crate::Encoder::encode_with) looks up in it
/// what frames may copy from; nothing is kept of it between calls.
///
/// A sender that has the receiver's contents at hand anyway (a copy of what was sent, a snapshot) implements this
/// over them. Where a content has to be made up first, it may be written to `scratch`.
pub trait HeldPages {
    /// What the receiver holds for a page of the image that frames update; `None` if nothing, or if it is not known.
    fn held_page<'a>(&'a self, number: u64, scratch: &'a mut [u8; PAGE_SIZE]) -> Option<&'a [u8; PAGE_SIZE]>;

    /// What the receiver holds for a page of another image.
    fn held_page_of<'a>(
        &'a self,
        image: ImageId,
        number: u64,
        scratch: &'a mut [u8; PAGE_SIZE],
    ) -> Option<&'a [u8; PAGE_SIZE]> {
        let _ = (image, number, scratch);
        None
    }
}

/// A copy of the receiver's store.
impl<S: PageStore> HeldPages for S {
    fn held_page<'a>(&'a self, number: u64, _: &'a mut [u8; PAGE_SIZE]) -> Option<&'a [u8; PAGE_SIZE]> {
        PageStore::page(self, number)
    }

    fn held_page_of<'a>(
        &'a self,
        image: ImageId,
        number: u64,
        _: &'a mut [u8; PAGE_SIZE],
    ) -> Option<&'a [u8; PAGE_SIZE]> {
        PageStore::page_of(self, image, number)
    }
}
