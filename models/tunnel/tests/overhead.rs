//! Lengths against published ones: WireGuard's 60 and 80 bytes and the MTU of 1420 that follows (whitepaper, section 5.4.6), the 54
//! to 57 bytes of ESP with AES-GCM (RFC 4303, section 2; RFC 4106, section 5), GRE's 24 and 1476 (RFC 2784, section 2), VXLAN's 50 and
//! 1450 (RFC 7348, section 5).

use longhaul_tunnel::overhead::WIREGUARD_MTU;
use longhaul_tunnel::{Encapsulation, IpVersion, Protocol, tcp_mss};
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

const V4: IpVersion = IpVersion::V4;
const V6: IpVersion = IpVersion::V6;
const ESP: Protocol = Protocol::Esp { nat_traversal: false };
const ESP_UDP: Protocol = Protocol::Esp { nat_traversal: true };
const GRE: Protocol = Protocol::Gre { key: false };
const GRE_KEY: Protocol = Protocol::Gre { key: true };
const ALL: [Protocol; 6] = [Protocol::WireGuard, ESP, ESP_UDP, GRE, GRE_KEY, Protocol::Vxlan];

fn wrap(protocol: Protocol, outer: IpVersion) -> Encapsulation {
    Encapsulation { protocol, outer }
}

#[test]
fn outer_lengths_are_the_published_ones() {
    for (protocol, outer, inner, expected) in [
        // 60 and 80 bytes where nothing is padded.
        (Protocol::WireGuard, V4, 1_420, 1_480),
        (Protocol::WireGuard, V6, 1_420, 1_500),
        (Protocol::WireGuard, V4, 1_408, 1_468),
        // Padded to 16, but not beyond the MTU.
        (Protocol::WireGuard, V4, 100, 172),
        (Protocol::WireGuard, V4, 1_409, 1_480),
        (Protocol::WireGuard, V4, 1_419, 1_480),
        // A keepalive: 32 bytes of UDP payload.
        (Protocol::WireGuard, V4, 0, 60),
        // Longer than the MTU: as its last part, 80 bytes, which needs no padding.
        (Protocol::WireGuard, V4, 1_500, 1_560),
        (ESP, V4, 1_446, 1_500),
        (ESP, V4, 1_445, 1_500),
        (ESP, V4, 1_444, 1_500),
        (ESP, V4, 1_443, 1_500),
        (ESP, V4, 1_442, 1_496),
        (ESP, V6, 1_426, 1_500),
        (ESP_UDP, V4, 1_438, 1_500),
        (GRE, V4, 1_476, 1_500),
        (GRE_KEY, V4, 1_476, 1_504),
        (GRE, V6, 1_476, 1_520),
        (Protocol::Vxlan, V4, 1_450, 1_500),
        (Protocol::Vxlan, V6, 1_450, 1_520),
    ] {
        let found = wrap(protocol, outer).outer_bytes(inner, WIREGUARD_MTU);
        assert_eq!(found, expected, "{protocol:?} over {outer:?}, {inner} bytes");
    }
}

#[test]
fn overheads_of_esp_are_54_to_57_bytes_over_ipv4() {
    let overheads = (1..=1_446).map(|inner| wrap(ESP, V4).overhead(inner, 0));
    let overheads: Vec<u32> = overheads.collect();
    assert_eq!(
        (overheads.iter().min(), overheads.iter().max()),
        (Some(&54), Some(&57))
    );
}

#[test]
fn what_fits_inside_an_ethernet_packet() {
    for (protocol, outer, mtu, customary) in [
        (Protocol::WireGuard, V4, 1_440, 1_420),
        (Protocol::WireGuard, V6, 1_420, 1_420),
        (ESP, V4, 1_446, 1_446),
        (ESP_UDP, V4, 1_438, 1_438),
        (ESP, V6, 1_426, 1_426),
        (GRE, V4, 1_476, 1_476),
        (GRE_KEY, V4, 1_472, 1_472),
        (GRE, V6, 1_456, 1_456),
        (Protocol::Vxlan, V4, 1_450, 1_450),
        (Protocol::Vxlan, V6, 1_430, 1_430),
    ] {
        assert_eq!(
            wrap(protocol, outer).inner_mtu(1_500),
            Ok(mtu),
            "{protocol:?} over {outer:?}"
        );
        assert_eq!(wrap(protocol, outer).customary_mtu(1_500), Ok(customary));
    }
    assert_eq!(tcp_mss(1_500, V4), 1_460);
    assert_eq!(tcp_mss(1_420, V4), 1_380);
    assert_eq!(tcp_mss(1_420, V6), 1_360);
    assert_eq!(tcp_mss(30, V4), 0);
    let refused = wrap(Protocol::Vxlan, V6).inner_mtu(137).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "an outer MTU of 137 bytes leaves less than 68 bytes inside the tunnel"
    );
    assert!(wrap(ESP, V4).inner_mtu(0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_inner_mtu_is_the_longest_packet_that_fits(outer_mtu in 200..10_000u32, which in 0..6usize, v6 in any::<bool>()) {
        let wrap = wrap(ALL[which], if v6 { V6 } else { V4 });
        let mtu = wrap.inner_mtu(outer_mtu).expect("large enough");
        let longest = (0..=mtu).map(|inner| wrap.outer_bytes(inner, mtu)).max();
        prop_assert!(longest.is_some_and(|longest| longest <= outer_mtu));
        prop_assert!(wrap.outer_bytes(mtu + 1, mtu + 1) > outer_mtu);
        let lengths = (0..=mtu).map(|inner| wrap.outer_bytes(inner, mtu));
        prop_assert!(lengths.is_sorted());
    }

    #[test]
    fn no_length_overflows(inner in 0..u32::MAX - 4_096, mtu in any::<u32>(), which in 0..6usize) {
        let wrap = wrap(ALL[which], V6);
        prop_assert!(wrap.outer_bytes(inner, mtu) > inner);
        prop_assert!(wrap.overhead(inner, mtu) <= 95);
        prop_assert!(wrap.inner_mtu(mtu).is_ok() == (mtu >= 68 + wrap.overhead(68, 68)));
    }
}
