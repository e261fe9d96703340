//! What the workloads' TCP settings need of the kernel beside their sockets: of a region, of a route, of the whole.

use std::collections::BTreeMap;

use longhaul_core::units::ByteSize;
use longhaul_replay::plan::{KernelSetting, Setting};

use super::plan::NotReplayable;
use crate::run::cast::source_region;
use crate::schema::{Carrier, Controller, Scenario, Tcp};

/// Where receive windows start when they are tuned, as in Linux; the language's 64 KiB are half of it.
const RECEIVE_MEMORY: u64 = 128 << 10;
/// The least receive memory of a socket.
const LEAST_RECEIVE_MEMORY: u64 = 4_096;
const LINUX_INITIAL_WINDOW: u32 = 10;
const HYSTART: &str = "/sys/module/tcp_cubic/parameters/hystart";

/// Two hosts that talk, and how.
pub struct Talk<'a> {
    /// Where its TCP settings stand: `transfers[t].tcp`.
    pub path: String,
    /// Who sends.
    pub from: &'a str,
    /// Who receives.
    pub to: &'a str,
    /// The settings, of both ends.
    pub tcp: Tcp,
}

/// Everything that talks, migrations first.
pub fn talks(scenario: &Scenario) -> Vec<Talk<'_>> {
    let migrations = scenario.migrations.iter().enumerate();
    let migrations = migrations.map(|(index, migration)| Talk {
        path: format!("migrations[{}].transport.tcp", migration.name),
        from: scenario.origin(index),
        to: &migration.to,
        tcp: migration.transport.tcp,
    });
    let replications = scenario.replications.iter().map(|replication| Talk {
        path: format!("replications[{}].transport.tcp", replication.name),
        from: source_region(scenario, replication),
        to: &replication.to,
        tcp: replication.transport.tcp,
    });
    let transfers = scenario.transfers.iter().map(|transfer| Talk {
        path: match transfer.carrier {
            Carrier::Plain { .. } => format!("transfers[{}].tcp", transfer.name),
            Carrier::Amst(_) => format!("transfers[{}].transport.tcp", transfer.name),
        },
        from: &transfer.from,
        to: &transfer.to,
        tcp: transfer.carrier.tcp(),
    });
    migrations.chain(replications).chain(transfers).collect()
}

/// What the kernel must be set to.
#[derive(Default)]
pub struct Settings {
    /// By region.
    pub regions: BTreeMap<String, Vec<Setting>>,
    /// Initial windows by the two ends of a route, where they are not Linux's own.
    pub initial_windows: BTreeMap<(String, String), u32>,
    /// Of the whole kernel.
    pub kernel: Vec<KernelSetting>,
}

/// A value that several talks share, by what they share it in, with who wanted it first.
struct Shared<K, V> {
    field: &'static str,
    place: &'static str,
    values: BTreeMap<K, (V, String)>,
}

impl<K: Ord, V: Copy + PartialEq + std::fmt::Display> Shared<K, V> {
    fn new(field: &'static str, place: &'static str) -> Shared<K, V> {
        let values = BTreeMap::new();
        Shared { field, place, values }
    }

    fn want(&mut self, key: K, value: V, path: &str, refused: &mut Vec<NotReplayable>) {
        let (known, first) = self.values.entry(key).or_insert_with(|| (value, path.to_owned()));
        if *known != value {
            let (field, place) = (self.field, self.place);
            let reason = format!("{value} where {first}.{field} is {known}: {place} has one for all");
            refused.push(NotReplayable::new(format!("{path}.{field}"), reason));
        }
    }
}

/// What the talks need, all of them at once.
pub fn settings(talks: &[Talk<'_>], refused: &mut Vec<NotReplayable>) -> Settings {
    let mut receive_buffers = Shared::new("receive_buffer", "with autotuning, a region's kernel");
    let mut ecn = Shared::new("ecn", "a region's kernel");
    let mut initial_windows = Shared::new("initial_window", "the route between two regions");
    let mut hystart = Shared::new("hystart", "the kernel's CUBIC");
    for talk in talks {
        let (tcp, path) = (&talk.tcp, &talk.path);
        if tcp.segmentation_offload {
            let reason = "a router stands between a replay's hosts and their links".to_owned();
            refused.push(NotReplayable::new(format!("{path}.segmentation_offload"), reason));
        }
        if tcp.controller == Controller::Cubic {
            hystart.want((), tcp.hystart, path, refused);
        }
        for (here, there) in [(talk.from, talk.to), (talk.to, talk.from)] {
            let before = refused.len();
            if tcp.autotuning {
                receive_buffers.want(here, tcp.receive_buffer, path, refused);
            }
            ecn.want(here, tcp.ecn, path, refused);
            initial_windows.want((here, there), tcp.initial_window, path, refused);
            // Once is enough for both ends.
            if refused.len() > before {
                break;
            }
        }
    }
    let mut settings = Settings::default();
    for (&region, &(ecn, _)) in &ecn.values {
        let list: &mut Vec<Setting> = settings.regions.entry(region.to_owned()).or_default();
        let mut set = |name: &str, value: String| {
            list.push(Setting {
                name: name.to_owned(),
                value,
            });
        };
        set("net.ipv4.tcp_ecn", u8::from(ecn).to_string());
        if let Some((window, _)) = receive_buffers.values.get(region) {
            let most = receive_memory(*window);
            set(
                "net.ipv4.tcp_rmem",
                format!("{LEAST_RECEIVE_MEMORY} {} {most}", RECEIVE_MEMORY.min(most)),
            );
        }
    }
    for (&(here, there), &(window, _)) in &initial_windows.values {
        if window != LINUX_INITIAL_WINDOW {
            let route = (here.to_owned(), there.to_owned());
            settings.initial_windows.insert(route, window);
        }
    }
    settings
        .kernel
        .extend(hystart.values.values().map(|&(hystart, _)| KernelSetting {
            path: HYSTART.to_owned(),
            value: u8::from(hystart).to_string(),
        }));
    settings
}

/// Linux offers half of the memory that a socket may take (`tcp_adv_win_scale` 1).
fn receive_memory(window: ByteSize) -> u64 {
    (window.as_bytes() * 2).clamp(LEAST_RECEIVE_MEMORY, i32::MAX as u64)
}
