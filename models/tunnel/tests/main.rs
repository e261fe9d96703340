//! Tunnels and path MTU discovery over a pipe with delay, loss, duplicates and an MTU.

mod hostile;
mod ipsec;
mod others;
mod overhead;
mod path_mtu;
mod pipe;
mod wireguard;
