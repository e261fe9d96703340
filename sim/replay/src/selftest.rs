//! A small replay that needs nothing but a kernel: two namespaces, a netem between them, and datagrams to and fro.
//! It shows that a kernel delays and loses as told; with a seed, that it does so the same way every time.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use crate::tools::{Tools, output_of};

/// Round trips that are tried.
pub const ROUND_TRIPS: u32 = 100;
/// Of netem, each way.
pub const DELAY: Duration = Duration::from_millis(20);
/// A round trip that takes longer was lost.
const PATIENCE: Duration = Duration::from_millis(200);
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];
const PORT: u16 = 7;

/// What the kernel did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SelfTest {
    /// `uname -r`.
    pub kernel: String,
    /// Of each try; `None` if it was lost.
    pub round_trips_ns: Vec<Option<u64>>,
}

impl SelfTest {
    /// Tries that got lost.
    pub fn lost(&self) -> usize {
        self.round_trips_ns.iter().filter(|trip| trip.is_none()).count()
    }

    /// The middle of those that came back.
    pub fn median_ns(&self) -> Option<u64> {
        let mut trips: Vec<u64> = self.round_trips_ns.iter().copied().flatten().collect();
        trips.sort_unstable();
        trips.get(trips.len() / 2).copied()
    }

    /// What is wrong with it, if anything is: each way delays by [`DELAY`], and one loses 10 %.
    pub fn fault(&self) -> Option<String> {
        let least = u64::try_from(2 * DELAY.as_nanos()).expect("a short delay");
        match self.median_ns() {
            None => Some("nothing came back through netem".to_owned()),
            Some(median) if median < least || median > least + least / 10 => Some(format!(
                "a round trip through netem of 40 ms takes {}.{:03} ms",
                median / 1_000_000,
                median / 1_000 % 1_000
            )),
            Some(_) if self.lost() == 0 => Some("netem with 10 % loss loses nothing".to_owned()),
            Some(_) => None,
        }
    }
}

/// Runs it. Namespaces are called after `name` and removed afterwards.
///
/// # Errors
/// If the kernel or a tool refuses a step.
pub fn run(name: &str, tools: &Tools) -> Result<SelfTest, String> {
    let place = Place::new(name, tools)?;
    place.link()?;
    let round_trips_ns = place
        .round_trips()
        .map_err(|error| format!("datagrams: {error}"))?;
    Ok(SelfTest {
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        round_trips_ns,
    })
}

/// Two namespaces; they go when it goes.
struct Place<'a> {
    names: [String; 2],
    tools: &'a Tools,
    made: usize,
}

impl Place<'_> {
    fn new<'a>(name: &str, tools: &'a Tools) -> Result<Place<'a>, String> {
        let names = ["a", "b"].map(|side| format!("{name}-{side}"));
        let mut place = Place {
            names,
            tools,
            made: 0,
        };
        for side in 0..2 {
            place.run("ip", &["netns", "add", &place.names[side]])?;
            place.made += 1;
        }
        Ok(place)
    }

    fn run(&self, program: &str, args: &[&str]) -> Result<(), String> {
        let path = self
            .tools
            .find(program)
            .ok_or_else(|| format!("there is no {program}"))?;
        output_of(Command::new(path).args(args)).map(drop)
    }

    fn link(&self) -> Result<(), String> {
        let [a, b] = &self.names;
        let [one, other] = ADDRESSES;
        self.run(
            "ip",
            &[
                "link", "add", "name", "v", "netns", a, "type", "veth", "peer", "name", "v", "netns", b,
            ],
        )?;
        for (space, own, peer, loss) in [(a, one, other, "10%"), (b, other, one, "0%")] {
            let (own, peer) = (format!("{own}/32"), format!("{peer}/32"));
            self.run(
                "ip",
                &["-n", space, "address", "add", &own, "peer", &peer, "dev", "v"],
            )?;
            self.run("ip", &["-n", space, "link", "set", "dev", "v", "up"])?;
            let law = ["root", "netem", "delay", "20ms", "loss", loss, "limit", "1000"];
            let mut args = vec!["-n", space.as_str(), "qdisc", "add", "dev", "v"];
            args.extend(law);
            self.run("tc", &args)?;
        }
        Ok(())
    }

    fn round_trips(&self) -> io::Result<Vec<Option<u64>>> {
        let sockets = self
            .names
            .iter()
            .zip(ADDRESSES)
            .map(|(name, address)| socket_in(name, address));
        let sockets: Vec<UdpSocket> = sockets.collect::<io::Result<_>>()?;
        (0..ROUND_TRIPS)
            .map(|number| round_trip(&sockets[0], &sockets[1], number))
            .collect()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        for name in &self.names[..self.made] {
            // Both devices go with the first namespace.
            if let Err(why) = self.run("ip", &["netns", "delete", name]) {
                eprintln!("longhaul: cannot remove the namespace {name}: {why}");
            }
        }
    }
}

/// A socket belongs to the namespace that its thread was in when it was made.
fn socket_in(namespace: &str, address: Ipv4Addr) -> io::Result<UdpSocket> {
    let space = File::open(format!("/run/netns/{namespace}"))?;
    let make = || {
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&space), Some(LinkNameSpaceType::Network))?;
        UdpSocket::bind(SocketAddrV4::new(address, PORT))
    };
    thread::scope(|scope| scope.spawn(make).join())
        .unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
}

/// There and back; late datagrams of earlier tries are passed over.
fn round_trip(from: &UdpSocket, to: &UdpSocket, number: u32) -> io::Result<Option<u64>> {
    let begun = Instant::now();
    let [_, peer] = ADDRESSES.map(|address| SocketAddrV4::new(address, PORT));
    from.send_to(&number.to_be_bytes(), peer)?;
    for (receiver, answers) in [(to, true), (from, false)] {
        loop {
            let Some(left) = PATIENCE
                .checked_sub(begun.elapsed())
                .filter(|left| !left.is_zero())
            else {
                return Ok(None);
            };
            receiver.set_read_timeout(Some(left))?;
            let mut datagram = [0; 4];
            match receiver.recv_from(&mut datagram) {
                Ok((_, sender)) if datagram == number.to_be_bytes() => {
                    if answers {
                        receiver.send_to(&datagram, sender)?;
                    }
                    break;
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Some(
        u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(trips: &[Option<u64>]) -> SelfTest {
        SelfTest {
            kernel: "6.1".to_owned(),
            round_trips_ns: trips.to_vec(),
        }
    }

    #[test]
    fn a_kernel_that_does_not_do_as_told_is_found_out() {
        let good = test(&[Some(40_030_000), None, Some(40_010_000), Some(40_020_000)]);
        assert_eq!(
            (good.lost(), good.median_ns(), good.fault()),
            (1, Some(40_020_000), None)
        );
        for (trips, fault) in [
            (&[None, None][..], "nothing came back"),
            (&[None, Some(100_000)], "takes 0.100 ms"),
            (&[None, Some(50_000_000)], "takes 50.000 ms"),
            (&[Some(40_000_000)], "loses nothing"),
        ] {
            assert!(
                test(trips).fault().is_some_and(|text| text.contains(fault)),
                "{fault}"
            );
        }
    }
}
