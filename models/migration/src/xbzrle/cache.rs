//! QEMU's page cache (`migration/page_cache.c`): as many places as pages fit, each for all pages whose numbers agree in
//! their lower bits.

use longhaul_core::units::ByteSize;
use longhaul_hde::PAGE_SIZE;
use serde::{Deserialize, Serialize};

/// A page keeps its place against others for so many synchronisations after its last use.
const LIFETIME: u64 = 2;

/// QEMU's `xbzrle-cache` section.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct CacheStatistics {
    /// Bytes of memory that the cache takes.
    pub cache_size: u64,
    /// Bytes that encoded pages came to, their numbers not counted, overflows counted as whole pages.
    pub bytes: u64,
    /// Pages found in the cache.
    pub pages: u64,
    /// Pages not found there.
    pub cache_miss: u64,
    /// Pages found whose encoding was no shorter than the page.
    pub overflow: u64,
}

/// A page in the cache. Its content can be read at any time, so its version is enough.
#[derive(Clone, Copy, Debug)]
struct Place {
    page: u64,
    version: u32,
    used_at: u64,
}

/// Which pages the source knows as the destination has them.
#[derive(Debug)]
pub struct Cache {
    places: Vec<Option<Place>>,
    mask: u64,
    statistics: CacheStatistics,
}

impl Cache {
    /// An empty cache of this size, which is at least a page and a power of two ([`Cache::is_size`]).
    pub fn new(size: ByteSize) -> Cache {
        let places = size.as_bytes() / PAGE_SIZE as u64;
        Cache {
            places: vec![None; usize::try_from(places).expect("a cache that fits the address space")],
            mask: places - 1,
            statistics: CacheStatistics {
                cache_size: size.as_bytes(),
                ..CacheStatistics::default()
            },
        }
    }

    /// Whether a cache can have this size.
    pub fn is_size(size: ByteSize) -> bool {
        size.as_bytes() >= PAGE_SIZE as u64 && size.as_bytes().is_power_of_two()
    }

    pub fn statistics(&self) -> &CacheStatistics {
        &self.statistics
    }

    /// The version that the destination has of a page that is about to be sent at `version`, if the page is here. `age`
    /// is the number of synchronisations so far. In the last stage nothing is taken in.
    pub fn replace(&mut self, page: u64, version: u32, age: u64, last_stage: bool) -> Option<u32> {
        let place = &mut self.places[(page & self.mask) as usize];
        if let Some(there) = place.as_mut().filter(|there| there.page == page) {
            self.statistics.pages += 1;
            there.used_at = age;
            if last_stage {
                return Some(there.version);
            }
            return Some(std::mem::replace(&mut there.version, version));
        }
        self.statistics.cache_miss += 1;
        let is_free = place.is_none_or(|there| there.used_at + LIFETIME <= age);
        if is_free && !last_stage {
            *place = Some(Place {
                page,
                version,
                used_at: age,
            });
        }
        None
    }

    /// Notes what encoded pages came to.
    pub fn count(&mut self, bytes: u64, overflow: u64) {
        self.statistics.bytes += bytes;
        self.statistics.overflow += overflow;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_places() -> Cache {
        Cache::new(ByteSize::from_kib(8))
    }

    #[test]
    fn a_page_is_found_at_the_version_that_was_sent_last() {
        let mut cache = two_places();
        assert_eq!(cache.replace(4, 1, 0, false), None);
        assert_eq!(cache.replace(4, 3, 1, false), Some(1));
        assert_eq!(cache.replace(4, 9, 1, true), Some(3));
        assert_eq!(
            cache.replace(4, 9, 1, true),
            Some(3),
            "the last stage changes nothing"
        );
        let counted = cache.statistics();
        assert_eq!((counted.pages, counted.cache_miss), (3, 1));
    }

    #[test]
    fn a_page_in_use_is_not_displaced_and_one_out_of_use_is() {
        let mut cache = two_places();
        cache.replace(0, 1, 5, false);
        assert_eq!(cache.replace(2, 1, 6, false), None);
        assert_eq!(cache.replace(0, 2, 6, false), Some(1), "it kept its place");
        assert_eq!(cache.replace(1, 1, 6, false), None);
        assert_eq!(cache.replace(2, 2, 8, false), None);
        assert_eq!(cache.replace(2, 3, 8, false), Some(2), "it has taken the place");
        assert_eq!(cache.replace(0, 3, 8, false), None);
    }

    #[test]
    fn sizes_are_powers_of_two_of_at_least_a_page() {
        for (kib, fine) in [(0, false), (2, false), (4, true), (12, false), (65_536, true)] {
            assert_eq!(Cache::is_size(ByteSize::from_kib(kib)), fine, "{kib} KiB");
        }
    }
}
