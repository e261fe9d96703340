//! What the network refuses, by name.

use crate::support::{PLAIN, Queue};
use longhaul_core::random::Streams;
use longhaul_core::units::BitRate;
use longhaul_net::link::LinkSpec;
use longhaul_net::network::{Network, NetworkError, NetworkLink};
use longhaul_net::routing::RegionId;
use longhaul_net::tcp::Config;

fn link(from: u32, to: u32, spec: LinkSpec) -> NetworkLink {
    NetworkLink {
        from: RegionId(from),
        to: RegionId(to),
        spec,
    }
}

fn network(first_entity: u32, links: &[NetworkLink]) -> Result<Network, NetworkError> {
    let regions = ["a", "b", "c"].map(str::to_owned);
    Network::new(first_entity, &Streams::new(1, 0), &regions, links)
}

#[test]
fn a_network_names_the_link_that_is_wrong() {
    let refused = |links: &[NetworkLink]| network(0, links).unwrap_err().to_string();
    assert_eq!(
        refused(&[link(0, 1, PLAIN), link(0, 1, PLAIN)]),
        "there are two links a->b"
    );
    assert_eq!(
        refused(&[link(0, 3, PLAIN)]),
        "link 0 ends at region 3, which does not exist"
    );
    let dead = LinkSpec {
        rate: BitRate::from_bits_per_s(0),
        ..PLAIN
    };
    assert_eq!(
        refused(&[link(0, 1, PLAIN), link(1, 2, dead)]),
        "link b->c: a rate of 0 bit/s"
    );
}

#[test]
fn a_connection_needs_two_regions_two_routes_and_sane_options() {
    let mut network = network(0, &[link(0, 1, PLAIN), link(1, 0, PLAIN), link(0, 2, PLAIN)]).unwrap();
    let mut queue = Queue::default();
    let mut refused = |from, to, config| {
        let opened = network.open(&mut queue, RegionId(from), RegionId(to), config);
        opened.unwrap_err().to_string()
    };
    let good = Config::default();
    assert_eq!(
        refused(0, 0, good),
        "both ends are in region \"a\": connections inside a region are not modelled"
    );
    assert_eq!(refused(1, 2, good), "no path leads from \"c\" to \"b\"");
    assert_eq!(refused(2, 1, good), "no path leads from \"c\" to \"b\"");
    let message = refused(0, 1, Config { mss: 1, ..good });
    assert!(message.starts_with("mss must lie"), "{message}");
    assert_eq!((network.connections(), queue.pending()), (0, 0));
}

#[test]
fn entity_numbers_run_out_with_an_error() {
    let last = (1 << 24) - 1;
    assert_eq!(
        network(last, &[link(0, 1, PLAIN), link(1, 0, PLAIN)]).unwrap_err(),
        NetworkError::TooManyLinks
    );
    let mut full = network(last - 1, &[link(0, 1, PLAIN), link(1, 0, PLAIN)]).unwrap();
    let opened = full.open(&mut Queue::default(), RegionId(0), RegionId(1), Config::default());
    assert_eq!(opened.unwrap_err().to_string(), "more than 16777216 entities");
}

#[test]
fn links_are_found_by_name() {
    let network = network(0, &[link(0, 1, PLAIN), link(1, 0, PLAIN)]).unwrap();
    let found = network.link_named("b->a").map(|id| id.0);
    assert_eq!((found, network.link_named("a->c")), (Some(1), None));
    assert!(network.links().map(|(name, _)| name).eq(["a->b", "b->a"]));
}
