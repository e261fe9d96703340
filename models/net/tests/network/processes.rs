//! Processes that stand still or are killed, under real TCP.

use crate::support::{Lab, PLAIN};
use longhaul_core::machine::CloseReason;
use longhaul_core::payload::Payload;
use longhaul_core::schedule::Schedule;
use longhaul_core::time::{Instant, Span};
use longhaul_net::notice::{Side, What};
use longhaul_net::routing::RegionId;
use longhaul_net::tcp::Config;

const HERE: RegionId = RegionId(0);
const THERE: RegionId = RegionId(1);
const HOUR: Instant = Instant::from_ns(3_600_000_000_000);
const FAILED: What = What::Closed(CloseReason::Failed);

fn at_ms(ms: u64) -> Instant {
    Instant::ZERO + Span::from_ms(ms)
}

/// A transfer of 50 MB under way for two seconds, and what has been received.
fn under_way() -> (Lab, longhaul_net::notice::ConnectionId) {
    let mut lab = Lab::line(1, &[(PLAIN, PLAIN)]);
    let id = lab.open(Config::default());
    lab.write(id, Side::Opener, Payload::Synthetic(50_000_000));
    lab.shutdown(id, Side::Opener);
    lab.run(at_ms(2_000));
    (lab, id)
}

#[test]
fn who_stands_still_is_told_nothing_and_everything_in_order_later() {
    for region in [HERE, THERE] {
        let (mut lab, id) = under_way();
        let side = if region == HERE {
            Side::Opener
        } else {
            Side::Acceptor
        };
        lab.network.pause(region);
        let told = |lab: &Lab| lab.heard.iter().filter(|(_, notice)| notice.side == side).count();
        let before = told(&lab);
        lab.run(at_ms(60_000));
        assert_eq!(told(&lab), before, "{side:?}");
        let sent_on = lab.network.tcp_stats(id, Side::Acceptor).bytes_received;
        assert!(sent_on < 50_000_000);
        lab.resume(region);
        assert!(told(&lab) > before);
        lab.run(HOUR);
        assert_eq!(lab.received_bytes(id, Side::Acceptor), 50_000_000);
        assert!(lab.when(Side::Acceptor, &What::PeerFinished).is_some());
    }
}

#[test]
fn a_connection_to_who_stands_still_is_made_by_the_kernel() {
    let mut lab = Lab::line(1, &[(PLAIN, PLAIN)]);
    lab.network.pause(THERE);
    let id = lab.open(Config::default());
    lab.write(id, Side::Opener, Payload::Synthetic(10_000));
    lab.run(at_ms(5_000));
    assert!(lab.when(Side::Opener, &What::Opened).is_some());
    assert_eq!(lab.when(Side::Acceptor, &What::Accepted), None);
    let now = lab.queue.now();
    lab.resume(THERE);
    assert_eq!(lab.when(Side::Acceptor, &What::Accepted), Some(now));
    assert_eq!(lab.received_bytes(id, Side::Acceptor), 10_000);
}

#[test]
fn who_is_killed_hears_nothing_and_the_peer_of_the_end() {
    for (region, side) in [(HERE, Side::Opener), (THERE, Side::Acceptor)] {
        let (mut lab, id) = under_way();
        let heard = lab.heard.len();
        lab.kill(region);
        lab.run(HOUR);
        assert!(lab.heard[heard..].iter().all(|(_, notice)| notice.side != side));
        if region == HERE {
            // TCP sends what it had taken, and the end of the stream; not what it had not.
            let received = lab.received_bytes(id, Side::Acceptor);
            assert!(received < 50_000_000, "{received}");
            assert!(lab.when(Side::Acceptor, &What::PeerFinished).is_some());
        } else {
            let failed = lab.when(Side::Opener, &FAILED).expect("a reset");
            assert!((at_ms(2_040)..at_ms(2_090)).contains(&failed), "{failed:?}");
        }
        assert_eq!(lab.queue.pending(), 0, "nothing is left that would wait");
    }
}

#[test]
fn both_ends_can_be_killed_and_called_in_vain() {
    let (mut lab, _) = under_way();
    lab.kill(HERE);
    lab.kill(THERE);
    lab.run(HOUR);
    assert_eq!(lab.queue.pending(), 0);

    let mut lab = Lab::line(1, &[(PLAIN, PLAIN)]);
    lab.kill(THERE);
    lab.open(Config::default());
    lab.run(HOUR);
    let refused = lab.when(Side::Opener, &FAILED).expect("refused");
    assert!((at_ms(80)..at_ms(81)).contains(&refused), "{refused:?}");
}
