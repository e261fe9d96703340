//! Behaviour of whole connections over a simulated link.

mod acknowledging;
mod any_network;
mod bbr;
mod beginning_and_end;
mod ecn;
mod harness;
mod killing;
mod losing;
mod mean_window;
mod persist;
mod response;
mod speed;
mod truth;
mod undoing;
mod window_law;
mod windows;
