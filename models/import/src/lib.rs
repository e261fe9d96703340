//! Published formats of topologies, latencies and traffic: text in, topology out.
//!
//! | function | format | units in the file |
//! | --- | --- | --- |
//! | [`gml`], [`graphml`] | Internet Topology Zoo | degrees; bit/s where links state a speed |
//! | [`sndlib`] | SNDlib native XML | degrees or a plane; capacities and demands by [`Defaults::unit`] |
//! | [`topohub`] | TopoHub node-link JSON | longitude first; km; demands by [`Defaults::unit`] |
//! | [`repetita`], [`repetita_demands`] | REPETITA `.graph`, `.demands` | kbit/s, µs one way, IGP weights |
//! | [`rtt_matrix`] | cloudping-style JSON | ms of round trip |
//! | [`teal`], [`teal_demands`] | Teal node-link JSON, CSV of matrices | by [`Defaults::unit`] |
//! | [`teavar`], [`teavar_demands`] | TEAVAR `topology.txt`, `demand.txt` | by [`Defaults::unit`]; probabilities |
//!
//! Files in the wild have parallel links, self loops, several components, missing coordinates and repeated labels.
//! What can be used is used, with a [`Note`] of what was made of it; what cannot is refused by line and element.
//! Any text gives a topology or an error, in memory proportional to its length (and to the square of the
//! number of regions that it declares for a matrix, which is as long).

mod draft;
mod gml;
mod json;
mod lines;
mod xml;

pub use longhaul_routing::Demands;

pub use draft::{Defaults, Import, ImportError, ImportedLink, ImportedRegion, Note, Problem, Remark};
pub use gml::gml;
pub use json::{rtt_matrix, teal, topohub};
pub use lines::{repetita, repetita_demands, teal_demands, teavar, teavar_demands};
pub use xml::{graphml, sndlib};
