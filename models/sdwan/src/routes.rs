//! Which site a destination belongs to: longest prefix match.

use core::net::IpAddr;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::address::{Prefix, SiteId};

/// Destination prefixes and the sites behind which they lie.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Routes {
    /// By length, the longest first.
    by_length: BTreeMap<Reverse<u8>, BTreeMap<Prefix, SiteId>>,
}

/// A prefix was announced for two sites.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{prefix} belongs to {first} and to {second}")]
pub struct Conflict {
    /// The prefix.
    pub prefix: Prefix,
    /// Where it belongs already.
    pub first: SiteId,
    /// Where it should belong as well.
    pub second: SiteId,
}

impl Routes {
    /// A table of these routes.
    ///
    /// # Errors
    /// The first prefix with two sites.
    pub fn new(routes: impl IntoIterator<Item = (Prefix, SiteId)>) -> Result<Routes, Conflict> {
        let mut table = Routes::default();
        for (prefix, site) in routes {
            let block = table.by_length.entry(Reverse(prefix.length())).or_default();
            let first = *block.entry(prefix).or_insert(site);
            if first != site {
                return Err(Conflict {
                    prefix,
                    first,
                    second: site,
                });
            }
        }
        Ok(table)
    }

    /// The site of the longest prefix that contains the address.
    pub fn site_of(&self, destination: IpAddr) -> Option<SiteId> {
        self.by_length.iter().find_map(|(Reverse(length), block)| {
            // A length that only the other family of addresses has finds nothing: the block would be of another length.
            block.get(&Prefix::around(destination, *length)).copied()
        })
    }

    /// All routes, the longest prefixes first.
    pub fn iter(&self) -> impl Iterator<Item = (Prefix, SiteId)> + '_ {
        let blocks = self.by_length.values().flatten();
        blocks.map(|(prefix, site)| (*prefix, *site))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str, length: u8) -> Prefix {
        Prefix::new(text.parse().unwrap(), length).unwrap()
    }

    #[test]
    fn the_longest_prefix_wins_and_a_conflict_is_refused() {
        let routes = [
            (prefix("0.0.0.0", 0), SiteId(9)),
            (prefix("10.0.0.0", 8), SiteId(1)),
            (prefix("10.2.0.0", 16), SiteId(2)),
            (prefix("10.3.0.0", 16), SiteId(3)),
            (prefix("2001:db8::", 32), SiteId(4)),
        ];
        let table = Routes::new(routes).unwrap();
        assert_eq!(table.iter().count(), 5);
        for (address, site) in [
            ("10.2.255.255", Some(2)),
            ("10.3.0.0", Some(3)),
            ("10.4.0.0", Some(1)),
            ("10.1.255.255", Some(1)),
            ("11.0.0.0", Some(9)),
            ("2001:db8:ffff::1", Some(4)),
            ("2001:db9::", None),
        ] {
            assert_eq!(
                table.site_of(address.parse().unwrap()),
                site.map(SiteId),
                "{address}"
            );
        }
        let twice = [
            (prefix("10.0.0.0", 8), SiteId(1)),
            (prefix("10.0.0.0", 8), SiteId(2)),
        ];
        assert_eq!(Routes::new(twice).unwrap_err().second, SiteId(2));
    }
}
