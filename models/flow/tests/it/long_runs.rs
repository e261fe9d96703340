//! x
use crate::lab::*;
use longhaul_core::time::*;
use longhaul_core::units::*;
use longhaul_net::link::*;
#[test]
#[ignore]
fn dbg_four() {
    let spec = LinkSpec { rate: BitRate::from_bits_per_s(100_000_000), delay: Span::from_ms(40), queue: QueueLimit::Packets(660), ..PLAIN };
    let t = vec![Transfer::new(0,1,6_250_000,CUBIC); 4];
    let mut lab: Lab<PacketNetwork> = Lab::new(11,0,2,&pair(0,1,spec));
    for ms in [81u64,100,160,200,240,280,320,400,480,560,640,800,1000,1500,2000,3000,4000] {
        let mut lab: Lab<PacketNetwork> = Lab::new(11,0,2,&pair(0,1,spec));
        lab.run(&t, Span::from_ms(ms));
        let c: Vec<_> = (0..4).map(|i| { let s = lab.network.tcp_stats(longhaul_net::notice::ConnectionId(i), longhaul_net::notice::Side::Opener); (s.cwnd_segments, s.ssthresh as i32, s.retransmits, s.srtt.as_ns()/1000000)}).collect();
        println!("packets {ms} {c:?}");
    }
    let mut lab: Lab<FlowNetwork> = Lab::new(11,0,2,&pair(0,1,spec));
    lab.run(&t, Span::from_s(100));
    println!("{:?}", lab.transfers.iter().map(|t| t.seconds()).collect::<Vec<_>>());
}
