//! Pages as they are to be sent.

use longhaul_hde::PAGE_SIZE;
use longhaul_memory::GuestMemory;

/// A class of pages that compress alike. The numbers mean nothing beyond equality, and only within one view.
pub type Class = u32;

/// Pages as they are to be sent: a guest's memory as it is now, or as it was at a snapshot.
pub trait PageView {
    /// Page numbers run from 0 to below this. Not every number need be a page.
    fn pages(&self) -> u64;

    /// The version of a page that is to be sent.
    fn version(&self, page: u64) -> u32;

    /// The content of a page at a version that has been, up to the one to be sent.
    fn read(&self, page: u64, version: u32, into: &mut [u8; PAGE_SIZE]);

    /// The class of a page at such a version.
    fn class(&self, page: u64, version: u32) -> Class;
}

/// A guest's memory as it is now; a class is a stratum.
impl<M: GuestMemory> PageView for M {
    fn pages(&self) -> u64 {
        GuestMemory::pages(self)
    }

    fn version(&self, page: u64) -> u32 {
        GuestMemory::version(self, page)
    }

    fn read(&self, page: u64, version: u32, into: &mut [u8; PAGE_SIZE]) {
        GuestMemory::read(self, page, version, into);
    }

    fn class(&self, page: u64, version: u32) -> Class {
        Class::from(self.stratum(page, version))
    }
}
