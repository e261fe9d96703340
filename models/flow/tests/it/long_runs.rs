//! x
use crate::lab::*;
use longhaul_core::time::*;
use longhaul_core::units::*;
use longhaul_net::link::*;
use longhaul_net::loss::*;
use longhaul_net::notice::*;
#[test]
#[ignore]
fn dbg_four() {
    let spec = LinkSpec { rate: BitRate::from_bits_per_s(200_000_000), delay: Span::from_ms(75), queue: QueueLimit::Inside(3718), loss: Loss::GilbertElliott{mean: Probability::from_ratio(5,100).unwrap(), burst_packets: 4}, ..PLAIN };
    let t = vec![Transfer::new(0,1,30_000_000/3,longhaul_tcp::Config{segmentation_offload:true,..CUBIC}); 1];
    for seed in 0..3 {
    let mut lab: Lab<FlowNetwork> = Lab::new(7,seed,2,&pair(0,1,spec));
    lab.run(&t, Span::from_s(1000));
    for i in 0..1 { println!("{} {:.2} {:?}", seed, lab.transfers[i].seconds(), lab.network.stats(ConnectionId(i as u32), Side::Opener)); }
    }
}
