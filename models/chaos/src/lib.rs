//! Faults: what they do, when they strike, how they end, and which of them a failure needs.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`kind`] | [`Kind`]: what a fault does, and how it weakens |
//! | [`impact`] | four levels of impact in numbers |
//! | [`recovery`] | how a fault ends: at once, by hand, or step by step |
//! | [`law`], [`plan`] | when faults strike: scripted, by chance, by a stochastic process; drawing a schedule |
//! | [`schedule`] | [`Schedule`]: every fault at its time, nothing left to chance |
//! | [`overlay`] | what is felt at a target while several faults act on it |
//! | [`guard`] | measured values that end all faults |
//! | [`injector`] | faults of single calls |
//! | [`swarm`] | random schedules, each with a few kinds of faults |
//! | [`shrink`](mod@shrink) | the smallest part of a schedule that still makes a run fail |
//! | [`predefined`] | five experiments to begin with |
//!
//! # How it is driven
//! A [`Plan`] that is enabled draws a [`Schedule`] for a target type of the caller's own: the name of a link, the index
//! of a node. An [`Overlay`] of the schedule says at which times what is felt at a target changes, and what is felt then;
//! the caller sets its models to that. Nothing here knows a clock, a network or a process. Nothing happens by default:
//! a default plan and a default injector are off, and a default guard has no bounds.
//!
//! A program of one's own can be tried without a simulator: a plan of the [predefined] experiments, an [`Overlay`] that is
//! asked what is felt now, and an [`Injector`] that is asked before each call.
//!
//! ```
//! use longhaul_chaos::predefined::experiments;
//! use longhaul_chaos::{CallFault, Effective, Injected, Injector, Overlay, Plan};
//! use longhaul_core::random::Streams;
//! use longhaul_core::time::Span;
//! use longhaul_core::units::{BitRate, Probability};
//!
//! let streams = Streams::new(1, 0);
//!
//! // Off by default: no call suffers, and no random number is drawn.
//! let mut random = streams.stream("my program", "calls");
//! let mut off = Injector::default();
//! assert!((0..1_000).all(|_| off.check(&mut random).is_empty()));
//!
//! // On: one call in ten is chosen, and times out.
//! let tenth = Probability::from_ratio(1, 10).expect("a share");
//! let mut injector = Injector::new(tenth, vec![CallFault::Timeout(Span::from_s(5))]);
//! let mut suffered = 0;
//! for _ in 0..1_000 {
//!     for injected in injector.check(&mut random) {
//!         assert_eq!(injected, Injected::Timeout(Span::from_s(5)));
//!         suffered += 1;
//!     }
//! }
//! assert_eq!(suffered, injector.counters().injections);
//! assert!((50..150).contains(&suffered));
//!
//! // An hour of the five experiments, of which each strikes a thing of its own.
//! let target = |name: &str| if name == "Clock Skew" { "my clock" } else { "my link" };
//! let plan = Plan { enabled: true, faults: experiments(target) };
//! let drawn = plan.draw(&streams, Span::from_s(3_600)).expect("experiments that can be drawn");
//! let overlay = Overlay::new(&drawn.schedule);
//! let normal = BitRate::from_bits_per_s(10_000_000_000);
//! let felt = overlay.effective(&"my link", Span::from_s(600), normal);
//! assert_ne!(felt, Effective::default());
//! ```

pub mod error;
pub mod guard;
pub mod impact;
pub mod injector;
pub mod kind;
pub mod law;
pub mod overlay;
pub mod plan;
pub mod predefined;
pub mod recovery;
pub mod schedule;
pub mod shrink;
pub mod swarm;

pub use error::Error;
pub use guard::{Abort, Bound, Guard, Side};
pub use impact::{Impact, Magnitudes};
pub use injector::{CallFault, Injected, Injector};
pub use kind::{Direction, Kind, Loses, Slowdown};
pub use law::Law;
pub use overlay::{Effective, Overlay};
pub use plan::{Drawn, Plan, Spec, Timing};
pub use recovery::{Gradual, Recovery};
pub use schedule::{Action, Entry, Injection, Schedule};
pub use shrink::{ShrinkError, Shrunk, Verdict, shrink};
pub use swarm::{Candidate, Swarm};
