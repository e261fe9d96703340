//! The one integration binary: what no single crate can test alone.
//!
//! | module | what it proves |
//! | --- | --- |
//! | `architecture` | dependencies point in the direction that the design allows; licences are on the list |
//! | `fidelity` | which fidelity is chosen and why; that both agree where the answer is known |
//! | `goldens` | every smoke scenario still gives the records that were reviewed |
//! | `determinism` | one digest per scenario, seed and model version, however it is run |
//! | `invariants` | the right answers that goldens alone cannot know: closed forms, conservation, bounds |
//! | `imports` | published topologies as scenarios |
//! | `kernel` | what a real kernel made of scenarios, against reviewed medians |
//! | `knobs` | every field of a scenario does something |
//! | `nodes` | machines over sockets, one process per region, on loopback addresses |
//! | `recorded` | a real guest's memory, moved while it changes |
//! | `reference` | published results and closed forms, as scenarios |
//! | `replay` | `longhaul replay` as a user meets it, what needs a kernel where there is one for `vm` |
//! | `replications` | continuous replication through outages and losses, against closed forms |
//! | `searches` | so does every field of path MTU discovery and of the discovery of sites |
//! | `services` | services and clients: closed forms, failing over, faults |
//! | `sweeps` | `longhaul sweep`, `merge` and `compare` as a user meets them |
//! | `cli` | the program as a user meets it |
//! | `verbs` | `longhaul hunt` and `what-if` as a user meets them; runs whose faults are aborted |
//! | `vm` | the virtual machine of a replay, where QEMU and a kernel are installed; `longhaul doctor` |
//! | `validate` | `longhaul validate` as a user meets it |

mod architecture;
mod cli;
mod common;
mod demands;
mod determinism;
mod faults;
mod fidelity;
mod goldens;
mod imports;
mod invariants;
mod kernel;
mod knobs;
mod nodes;
mod overlays;
mod recorded;
mod reference;
mod replay;
mod replications;
mod reservations;
mod route_control;
mod routing;
mod searches;
mod services;
mod sweeps;
mod validate;
mod verbs;
mod vm;
