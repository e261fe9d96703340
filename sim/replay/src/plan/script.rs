//! The commands of a plan, in the forms that `ip -batch`, `tc -batch` and `ethtool` read.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::{Action, Plan, RegionPlan, Route, Setting, Signal, WirePlan};

/// What every namespace has. IPv6 would send packets of its own; forwarding is what regions and wires are for.
const COMMON: [(&str, &str); 5] = [
    ("net.ipv6.conf.all.disable_ipv6", "1"),
    ("net.ipv6.conf.default.disable_ipv6", "1"),
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
];
/// What every region has: no memory of earlier connections, and hops enough, for a wire takes one, too.
const COMMON_OF_REGIONS: [(&str, &str); 2] = [
    ("net.ipv4.tcp_no_metrics_save", "1"),
    ("net.ipv4.ip_default_ttl", "255"),
];
/// First routing table of a wire; the table of an end is this plus its position.
const FIRST_TABLE: usize = 100;

/// One of a plan's namespaces.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Place {
    /// Of a region, by its index.
    Region(usize),
    /// Of a wire, by its index.
    Wire(usize),
}

/// Who reads the lines of a batch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Tool {
    /// `ip`.
    Ip,
    /// `tc`.
    Tc,
}

/// Commands for one tool in one namespace.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Batch {
    /// Where.
    pub place: Place,
    /// Who reads it.
    pub tool: Tool,
    /// The commands, without the tool's name.
    pub lines: Vec<String>,
}

/// A network device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Device {
    /// Where it is.
    pub place: Place,
    /// Its name there.
    pub name: String,
}

/// The device of a region towards a wire.
fn towards_wire(wire: usize) -> String {
    format!("w{wire}")
}

/// The device of a wire towards a region.
fn towards_region(region: usize) -> String {
    format!("r{region}")
}

impl Route {
    /// The command that makes this the route of the region with this address.
    pub fn line(&self, region: &RegionPlan) -> String {
        let Some(wire) = self.wire else {
            return format!("route replace blackhole {}", self.to);
        };
        let device = towards_wire(wire);
        let window = self.initial_window.map(|window| format!(" initcwnd {window}"));
        let window = window.unwrap_or_default();
        format!(
            "route replace {} dev {device} src {}{window}",
            self.to, region.address
        )
    }
}

impl WirePlan {
    /// The routing table for what comes from one of its two regions.
    pub fn table(&self, from: usize) -> usize {
        FIRST_TABLE + usize::from(self.ends[1] == from)
    }
}

impl Plan {
    /// The device of a wire whose egress carries what goes to a region.
    pub fn egress(region: usize) -> String {
        towards_region(region)
    }

    /// Lines for `ip`, in no namespace: all namespaces and the pairs of devices between them.
    pub fn creation(&self) -> Vec<String> {
        let namespaces = self.namespaces();
        let mut lines: Vec<String> = namespaces
            .iter()
            .map(|name| format!("netns add {name}"))
            .collect();
        for (number, wire) in self.wires.iter().enumerate() {
            for (end, &region) in wire.ends.iter().enumerate() {
                let hardware = format!(
                    "02:00:00:{:02x}:{:02x}:{:02x}",
                    number >> 8,
                    number & 255,
                    end + 1
                );
                lines.push(format!(
                    "link add name {} address {hardware} netns {} type veth peer name {} address {hardware} netns {}",
                    towards_wire(number),
                    self.namespace(Place::Region(region)),
                    towards_region(region),
                    self.namespace(Place::Wire(number)),
                ));
            }
        }
        lines
    }

    /// Every device, in the order of the namespaces.
    pub fn devices(&self) -> Vec<Device> {
        let of = |place| -> Vec<Device> {
            let names: Vec<String> = match place {
                Place::Wire(wire) => self.wires[wire]
                    .ends
                    .iter()
                    .copied()
                    .map(towards_region)
                    .collect(),
                Place::Region(region) => {
                    let wires = self.wires.iter().enumerate();
                    let mine = wires.filter(|(_, wire)| wire.ends.contains(&region));
                    mine.map(|(number, _)| towards_wire(number)).collect()
                }
            };
            names.into_iter().map(|name| Device { place, name }).collect()
        };
        self.places().flat_map(of).collect()
    }

    /// Arguments for `ethtool` that come before the device's name and after it: nothing may send or hand over several
    /// packets as one, for a discipline would take them for one frame.
    pub fn offloads(&self) -> &'static [&'static str] {
        if self.checksums_in_software {
            &["tso", "off", "gso", "off", "gro", "off", "tx", "off", "sg", "off"]
        } else {
            &["tso", "off", "gso", "off", "gro", "off"]
        }
    }

    /// What is written under `/proc/sys` of a namespace.
    pub fn settings(&self, place: Place) -> Vec<Setting> {
        let setting = |&(name, value): &(&str, &str)| Setting {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let mut settings: Vec<Setting> = COMMON.iter().map(setting).collect();
        if let Place::Region(region) = place {
            settings.extend(COMMON_OF_REGIONS.iter().map(setting));
            settings.extend(self.regions[region].settings.iter().cloned());
        }
        settings
    }

    /// What `ip` does in each namespace once the devices are there: addresses, devices up, routes.
    pub fn configuration(&self) -> Vec<Batch> {
        let devices = self.devices();
        let batch = |place| {
            let mut lines = Vec::new();
            if let Place::Region(region) = place {
                lines.push(format!("address add {}/32 dev lo", self.regions[region].address));
            }
            lines.push("link set dev lo up".to_owned());
            for device in devices.iter().filter(|device| device.place == place) {
                lines.push(format!("link set dev {} arp off up", device.name));
            }
            lines.push("route add blackhole default".to_owned());
            match place {
                Place::Region(region) => {
                    let region = &self.regions[region];
                    lines.extend(region.routes.iter().map(|route| route.line(region)));
                }
                Place::Wire(wire) => lines.extend(self.crossing(wire)),
            }
            let tool = Tool::Ip;
            Batch { place, tool, lines }
        };
        self.places().map(batch).collect()
    }

    /// The rules by which a wire passes on what comes in, in the directions that have a link.
    fn crossing(&self, wire: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for &from in &self.wires[wire].ends {
            let link = self
                .links
                .iter()
                .find(|link| link.wire == wire && link.from == from);
            let Some(link) = link else { continue };
            let table = self.wires[wire].table(from);
            lines.push(format!("route add default dev {} table {table}", link.device));
            lines.push(format!("rule add iif {} lookup {table}", towards_region(from)));
        }
        lines
    }

    /// What `tc` does in each wire's namespace.
    pub fn shaping(&self) -> Vec<Batch> {
        let batch = |wire| {
            let links = self.links.iter().filter(|link| link.wire == wire);
            Batch {
                place: Place::Wire(wire),
                tool: Tool::Tc,
                lines: links.flat_map(|link| link.shape.iter().cloned()).collect(),
            }
        };
        (0..self.wires.len()).map(batch).collect()
    }

    /// Every command, for people: as a shell would read it, were the plan a script.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (index, region) in self.regions.iter().enumerate() {
            let namespace = self.namespace(Place::Region(index));
            line(
                &mut text,
                &format!("# {namespace}: {} = {}", region.name, region.address),
            );
        }
        for link in &self.links {
            let namespace = self.namespace(Place::Wire(link.wire));
            line(
                &mut text,
                &format!("# {namespace}/{}: {}", link.device, link.name),
            );
        }
        for note in &self.notes {
            line(&mut text, &format!("# note: {note}"));
        }
        for module in &self.modules {
            line(&mut text, &format!("modprobe {module}"));
        }
        for table in &self.tables {
            line(
                &mut text,
                &format!("# {}.dist: {} entries", table.name, table.entries.len()),
            );
        }
        for setting in &self.kernel_settings {
            line(&mut text, &format!("echo {} > {}", setting.value, setting.path));
        }
        for command in self.creation() {
            line(&mut text, &format!("ip {command}"));
        }
        for place in self.places() {
            let namespace = self.namespace(place);
            for setting in self.settings(place) {
                line(
                    &mut text,
                    &format!(
                        "ip netns exec {namespace} sysctl -w {}='{}'",
                        setting.name, setting.value
                    ),
                );
            }
        }
        for device in self.devices() {
            let namespace = self.namespace(device.place);
            let offloads = self.offloads().join(" ");
            line(
                &mut text,
                &format!("ip netns exec {namespace} ethtool -K {} {offloads}", device.name),
            );
        }
        for batch in self.configuration().iter().chain(&self.shaping()) {
            self.batch(&mut text, batch);
        }
        for step in &self.timeline {
            line(&mut text, &format!("# at {}: {}", step.at, step.what));
            match &step.action {
                Action::Network { batches, .. } => {
                    for batch in batches {
                        self.batch(&mut text, batch);
                    }
                }
                Action::Signal { region, signal } => {
                    let name = match signal {
                        Signal::Stop => "STOP",
                        Signal::Cont => "CONT",
                        Signal::Kill => "KILL",
                    };
                    let namespace = self.namespace(Place::Region(*region));
                    line(&mut text, &format!("kill -{name} $(ip netns pids {namespace})"));
                }
            }
        }
        text
    }

    fn batch(&self, text: &mut String, batch: &Batch) {
        let tool = match batch.tool {
            Tool::Ip => "ip",
            Tool::Tc => "tc",
        };
        let namespace = self.namespace(batch.place);
        for command in &batch.lines {
            line(text, &format!("{tool} -n {namespace} {command}"));
        }
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes everything");
}
