//! Sites that announce themselves, and others that would like to be them.

use ed25519_dalek::{Signer, SigningKey};
use longhaul_core::time::{Instant, Span};
use longhaul_sdwan::SiteId;
use longhaul_sdwan::discovery::{Announcement, Change, Config, Directory, Endpoint, KeyError, Refused};
use proptest::prelude::*;

use crate::world::{at_ms, block};

fn key(site: u32) -> SigningKey {
    SigningKey::from_bytes(&[site as u8 + 1; 32])
}

/// A directory that knows the keys of sites 0 to 2.
fn directory() -> Directory {
    let keys: Vec<(SiteId, [u8; 32])> = (0..3)
        .map(|site| (SiteId(site), key(site).verifying_key().to_bytes()))
        .collect();
    let pins = keys.iter().map(|(site, key)| (*site, key.as_slice()));
    Directory::new(Config::default(), pins).unwrap()
}

fn announcement(site: u32, issued_at: Instant) -> Announcement {
    let endpoint = |name: &str, address: &str| Endpoint {
        name: name.to_owned(),
        address: address.parse().unwrap(),
        port: 51_820,
    };
    Announcement {
        site: SiteId(site),
        issued_at,
        tunnel_key: [site as u8; 32],
        endpoints: vec![endpoint("mpls", "10.0.0.1"), endpoint("internet", "2001:db8::1")],
        prefixes: vec![block(SiteId(site))],
    }
}

fn signed(site: u32, issued_at: Instant) -> Vec<u8> {
    announcement(site, issued_at).sign(&key(site)).unwrap().to_vec()
}

#[test]
fn a_signed_announcement_is_believed_once() {
    let mut directory = directory();
    let bytes = signed(1, at_ms(1_000));
    assert_eq!(
        directory.receive(at_ms(1_080), &bytes),
        Ok((SiteId(1), Change::Joined))
    );
    assert_eq!(
        directory.receive(at_ms(1_090), &bytes),
        Err(Refused::Replayed(SiteId(1)))
    );
    let older = signed(1, at_ms(999));
    assert_eq!(
        directory.receive(at_ms(1_090), &older),
        Err(Refused::Replayed(SiteId(1)))
    );
    let next = signed(1, at_ms(31_000));
    assert_eq!(
        directory.receive(at_ms(31_080), &next),
        Ok((SiteId(1), Change::Unchanged))
    );
    let mut other = announcement(1, at_ms(61_000));
    other.endpoints[0].port = 51_821;
    let other = other.sign(&key(1)).unwrap();
    assert_eq!(
        directory.receive(at_ms(61_080), &other),
        Ok((SiteId(1), Change::Changed))
    );
    assert!(
        directory
            .active()
            .map(|announcement| announcement.issued_at)
            .eq([at_ms(61_000)])
    );
}

#[test]
fn every_flipped_byte_and_every_other_length_is_refused() {
    let bytes = signed(1, at_ms(1_000));
    let mut directory = directory();
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        assert!(directory.receive(at_ms(1_080), &damaged).is_err(), "byte {place}");
        assert!(
            directory.receive(at_ms(1_080), &bytes[..place]).is_err(),
            "{place} bytes"
        );
    }
    assert!(
        directory
            .receive(at_ms(1_080), &[&bytes[..], b"x"].concat())
            .is_err()
    );
    assert_eq!(directory.active().count(), 0);
}

#[test]
fn only_the_pinned_key_of_the_site_counts() {
    let mut directory = directory();
    // Site 2 signs for site 1, and a site that nobody knows for itself.
    let forged = announcement(1, at_ms(1_000)).sign(&key(2)).unwrap();
    assert_eq!(
        directory.receive(at_ms(1_080), &forged),
        Err(Refused::Signature(SiteId(1)))
    );
    let stranger = signed(7, at_ms(1_000));
    assert_eq!(
        directory.receive(at_ms(1_080), &stranger),
        Err(Refused::Unknown(SiteId(7)))
    );
}

#[test]
fn an_announcement_from_another_time_is_refused() {
    let mut directory = directory();
    let bytes = signed(1, at_ms(100_000));
    for (now, accepted) in [(69_999, false), (130_001, false), (130_000, true)] {
        assert_eq!(
            directory.receive(at_ms(now), &bytes).is_ok(),
            accepted,
            "at {now} ms"
        );
    }
}

#[test]
fn keys_that_are_none_are_refused() {
    let pin = |key: &[u8]| Directory::new(Config::default(), [(SiteId(1), key)]).err();
    let (site, bytes) = (SiteId(1), 31);
    assert_eq!(pin(&[1; 31]), Some(KeyError::Length { site, bytes }));
    assert_eq!(pin(&[]), Some(KeyError::Length { site, bytes: 0 }));
    // The neutral element: everything would be signed by it.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert_eq!(pin(&neutral), Some(KeyError::Unusable(site)));
    let good = key(1).verifying_key().to_bytes();
    assert_eq!(pin(&good), None);
    let twice = [(site, good.as_slice()), (site, good.as_slice())];
    assert_eq!(
        Directory::new(Config::default(), twice).err(),
        Some(KeyError::Twice(site))
    );
}

#[test]
fn a_silent_site_becomes_inactive_and_its_peerings_are_there_once() {
    let mut directory = directory();
    directory.receive(at_ms(0), &signed(2, at_ms(0))).unwrap();
    directory
        .receive(at_ms(50_000), &signed(1, at_ms(50_000)))
        .unwrap();
    let ends: Vec<(u32, String)> = directory
        .peerings()
        .into_iter()
        .map(|peering| (peering.site.0, peering.endpoint.name))
        .collect();
    let expected = [(1, "internet"), (1, "mpls"), (2, "internet"), (2, "mpls")];
    assert_eq!(ends, expected.map(|(site, name)| (site, name.to_owned())));
    assert_eq!(directory.expire(at_ms(120_000)), [SiteId(0); 0]);
    let due = directory.due().unwrap();
    assert_eq!(due, at_ms(120_000) + Span::from_ns(1));
    assert_eq!(directory.expire(due), [SiteId(2)]);
    assert_eq!(directory.peerings().len(), 2);
    // A recording does not bring it back, a new announcement does.
    assert!(directory.receive(at_ms(120_001), &signed(2, at_ms(0))).is_err());
    let back = directory.receive(at_ms(130_000), &signed(2, at_ms(130_000)));
    assert_eq!(
        (back, directory.peerings().len()),
        (Ok((SiteId(2), Change::Joined)), 4)
    );
    assert_eq!(directory.peerings()[3].tunnel_key, [2; 32]);
}

#[test]
fn an_announcement_with_a_field_out_of_range_is_not_signed() {
    type Wrong = fn(&mut Announcement);
    let wrong: [Wrong; 6] = [
        |a| a.endpoints.clear(),
        |a| a.endpoints[0].name.clear(),
        |a| a.endpoints[0].name = "x".repeat(65),
        |a| a.endpoints[1].name = "mpls".to_owned(),
        |a| a.endpoints[0].address = "0.0.0.0".parse().unwrap(),
        |a| a.endpoints[0].port = 0,
    ];
    for (number, change) in wrong.into_iter().enumerate() {
        let mut announcement = announcement(1, at_ms(0));
        change(&mut announcement);
        assert_eq!(announcement.sign(&key(1)), None, "{number}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_even_if_they_are_signed(body in proptest::collection::vec(0u8.., 0..120), endpoints in 0u8..3) {
        let mut directory = directory();
        let _ = directory.receive(at_ms(0), &body);
        let head = [b"LA\x01\0\0\0\x01".as_slice(), &[0; 40], &[endpoints], &body].concat();
        let signature = key(1).sign(&head).to_bytes();
        let _ = directory.receive(at_ms(0), &[&head[..], &signature].concat());
    }
}
