//! What this machine can replay, and how. Looks, tries in a throw-away namespace, and leaves nothing behind.

use std::fs;
use std::path::Path;
use std::process::Command;

use longhaul_core::doctor::{Availability, Backend, DOCTOR_FORMAT, DoctorRecord, Finding, Probe};
use thiserror::Error;

use crate::tools::{Tools, output_of};
use crate::vm::{self, kernel::Places};

/// Bits of `CapEff`: capabilities(7).
const NEEDED_CAPABILITIES: [(u32, &str); 2] = [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")];
/// Controllers that scenarios name.
const CONTROLLERS: [&str; 3] = ["cubic", "reno", "bbr"];
/// Tools of the host's backend and of the guest, their packages, and how to ask for the version.
const TOOLS: [(&str, &str, &str); 3] = [
    ("ip", "iproute2", "-V"),
    ("tc", "iproute2", "-V"),
    ("ethtool", "ethtool", "--version"),
];

/// The throw-away namespace is called so, with the process's number behind.
const NAMESPACE: &str = "longhaul-doctor-";

/// No backend is available.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("nothing here can replay: {host}, and {vm} (`longhaul doctor` tells all)")]
pub struct NoBackend {
    /// What the backend `host` lacks first.
    pub host: String,
    /// What the backend `vm` lacks first.
    pub vm: String,
}

/// Looks at everything. `kernel` is what the user names for the virtual machine.
pub fn examine(kernel: Option<&Path>) -> DoctorRecord {
    let tools = Tools::of_system();
    let mut doctor = Doctor {
        tools: &tools,
        probes: Vec::new(),
        missing: [Vec::new(), Vec::new()],
    };
    doctor.host();
    doctor.vm(kernel);
    let [host, vm] = doctor.missing;
    let backends: Vec<Availability> = Backend::ALL
        .into_iter()
        .zip([host, vm])
        .map(|(backend, missing)| Availability { backend, missing })
        .collect();
    let uname = rustix::system::uname();
    let words = [uname.sysname(), uname.release()].map(|word| word.to_string_lossy().into_owned());
    DoctorRecord {
        format: DOCTOR_FORMAT,
        kernel: words.join(" "),
        probes: doctor.probes,
        chosen: backends.iter().find(|one| one.available()).map(|one| one.backend),
        backends,
        boot: None,
    }
}

/// Whether the kernel that this runs on can replay.
pub fn host() -> Availability {
    let mut doctor = Doctor {
        tools: &Tools::of_system(),
        probes: Vec::new(),
        missing: [Vec::new(), Vec::new()],
    };
    doctor.host();
    let [missing, _] = doctor.missing;
    Availability {
        backend: Backend::Host,
        missing,
    }
}

/// Each backend, and what it lacks.
pub fn backends(kernel: Option<&Path>) -> Vec<Availability> {
    examine(kernel).backends
}

/// The backend for who has no wish: the host's kernel if it can, else the virtual machine.
///
/// # Errors
/// If neither can.
pub fn choose(kernel: Option<&Path>) -> Result<Backend, NoBackend> {
    let backends = backends(kernel);
    if let Some(available) = backends.iter().find(|one| one.available()) {
        return Ok(available.backend);
    }
    let mut first = backends
        .into_iter()
        .map(|one| one.missing.into_iter().next().expect("it lacks something"));
    let mut next = || first.next().expect("two backends");
    Err(NoBackend {
        host: next(),
        vm: next(),
    })
}

struct Doctor<'a> {
    tools: &'a Tools,
    probes: Vec<Probe>,
    /// Of each backend.
    missing: [Vec<String>; 2],
}

impl Doctor<'_> {
    fn note(&mut self, backend: Backend, what: &str, finding: Finding, detail: impl Into<String>) {
        self.probes.push(Probe {
            backend,
            what: what.to_owned(),
            finding,
            detail: detail.into(),
        });
    }

    /// A probe on which the backend depends.
    fn need(&mut self, backend: Backend, what: &str, result: Result<String, String>) -> bool {
        let good = result.is_ok();
        match result {
            Ok(detail) => self.note(backend, what, Finding::Good, detail),
            Err(why) => {
                self.note(backend, what, Finding::Bad, why.clone());
                self.missing[backend as usize].push(why);
            }
        }
        good
    }

    fn host(&mut self) {
        let privileged = self.need(Backend::Host, "privilege", privilege());
        let mut tools = true;
        for (name, package, flag) in TOOLS {
            tools &= self.need(Backend::Host, name, self.version(name, package, flag));
        }
        if privileged && tools {
            self.namespace();
        } else {
            let why = "not tried: it needs the privilege and the tools";
            for what in ["namespace", "netem", "nested netem"] {
                self.note(Backend::Host, what, Finding::Unknown, why);
            }
        }
        self.controllers();
        self.need(Backend::Host, "clock", clock());
    }

    /// Tries netem on a device of a namespace of our own, which is removed again.
    fn namespace(&mut self) {
        self.bury();
        let name = format!("{NAMESPACE}{}", std::process::id());
        let ip = |args: &[&str]| self.tool("ip", args);
        let made = ip(&["netns", "add", &name]);
        let made = made.map(|_| "can be made and removed".to_owned());
        if !self.need(
            Backend::Host,
            "namespace",
            made.map_err(|why| format!("no network namespaces: {why}")),
        ) {
            return;
        }
        let law = |args: &[&str]| {
            let place = ["-n", &name, "qdisc", "add", "dev", "v"];
            self.tool("tc", &[&place[..], args].concat())
        };
        let device = self.tool(
            "ip",
            &[
                "-n", &name, "link", "add", "name", "v", "type", "veth", "peer", "name", "w",
            ],
        );
        let outer =
            device.and_then(|_| law(&["root", "handle", "1:", "netem", "delay", "1ms", "limit", "1000"]));
        let inner = outer.is_ok().then(|| {
            law(&[
                "parent", "1:1", "handle", "2:", "netem", "rate", "1mbit", "limit", "10",
            ])
        });
        let removed = self.tool("ip", &["netns", "delete", &name]);
        let told = |why: String| {
            format!("this kernel has no netem ({why}); try `modprobe sch_netem`, or --backend vm")
        };
        self.need(
            Backend::Host,
            "netem",
            outer.map(|_| "works".to_owned()).map_err(told),
        );
        match inner {
            Some(inner) => {
                let told = |why: String| {
                    format!("this kernel refuses a netem inside a netem ({why}); use --backend vm")
                };
                self.need(
                    Backend::Host,
                    "nested netem",
                    inner.map(|_| "works".to_owned()).map_err(told),
                );
            }
            None => self.note(
                Backend::Host,
                "nested netem",
                Finding::Unknown,
                "not tried: there is no netem",
            ),
        }
        if let Err(why) = removed {
            self.need(
                Backend::Host,
                "clean-up",
                Err(format!("namespace {name} could not be removed: {why}")),
            );
        }
    }

    /// Removes namespaces of doctors that were killed before they could.
    fn bury(&self) {
        let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
        for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
            let owner = name.strip_prefix(NAMESPACE).and_then(|id| id.parse::<u32>().ok());
            if owner.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
                // If that fails it stays, and is nobody's problem today.
                let _ = self.tool("ip", &["netns", "delete", &name]);
            }
        }
    }

    fn tool(&self, name: &str, args: &[&str]) -> Result<String, String> {
        let path = self
            .tools
            .find(name)
            .ok_or_else(|| format!("there is no {name}"))?;
        output_of(Command::new(path).args(args))
    }

    /// The first line that a tool says about itself.
    fn version(&self, name: &str, package: &str, flag: &str) -> Result<String, String> {
        if self.tools.find(name).is_none() {
            return Err(format!("there is no {name}: run `apt-get install {package}`"));
        }
        let text = self.tool(name, &[flag])?;
        Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    }

    fn controllers(&mut self) {
        let path = "/proc/sys/net/ipv4/tcp_available_congestion_control";
        let text = fs::read_to_string(path).unwrap_or_default();
        let known: Vec<&str> = text.split_whitespace().collect();
        let absent: Vec<&str> = CONTROLLERS
            .into_iter()
            .filter(|name| !known.contains(name))
            .collect();
        if absent.is_empty() {
            self.note(Backend::Host, "controllers", Finding::Good, known.join(", "));
        } else {
            // Only scenarios that use it need it, and the kernel may load it when it is asked for.
            let detail = format!(
                "{}; not loaded: {} (`modprobe tcp_{}`)",
                known.join(", "),
                absent.join(", "),
                absent[0]
            );
            self.note(Backend::Host, "controllers", Finding::Unknown, detail);
        }
    }

    fn vm(&mut self, named: Option<&Path>) {
        let qemu = self.version(vm::QEMU, "qemu-system-x86", "--version");
        self.need(Backend::Vm, "QEMU", qemu);
        let setpriv = self.version(vm::SETPRIV, "util-linux", "--version");
        self.need(Backend::Vm, vm::SETPRIV, setpriv);
        let kernel = Places::of_system().find(named, self.tools);
        let kernel = kernel.map(|kernel| format!("{} ({})", kernel.release, kernel.image.display()));
        self.need(
            Backend::Vm,
            "guest kernel",
            kernel.map_err(|error| error.to_string()),
        );
        for (name, package, flag) in TOOLS {
            let version = self.version(name, package, flag);
            match version {
                // They were told about above.
                Ok(_) => {}
                Err(why) => {
                    self.need(Backend::Vm, name, Err(why));
                }
            }
        }
        let tables = match vm::tables() {
            Ok(tables) => Ok(tables
                .iter()
                .filter_map(|path| Some(path.file_stem()?.to_string_lossy()))
                .collect::<Vec<_>>()
                .join(", ")),
            Err(error) => Err(error.to_string()),
        };
        self.need(Backend::Vm, "jitter tables", tables);
    }
}

fn privilege() -> Result<String, String> {
    let status =
        fs::read_to_string("/proc/self/status").map_err(|error| format!("/proc/self/status: {error}"))?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective
        .and_then(|word| u64::from_str_radix(word.trim(), 16).ok())
        .unwrap_or(0);
    let lacks = |(bit, name): (u32, &'static str)| (effective & (1 << bit) == 0).then_some(name);
    let lacking: Vec<&str> = NEEDED_CAPABILITIES.into_iter().filter_map(lacks).collect();
    if lacking.is_empty() {
        Ok(NEEDED_CAPABILITIES.map(|(_, name)| name).join(", "))
    } else {
        Err(format!("no {}: run as root", lacking.join(" and no ")))
    }
}

/// Timers that fire at the next tick of a slow clock would be too late for a replay.
fn clock() -> Result<String, String> {
    let resolution = rustix::time::clock_getres(rustix::time::ClockId::Monotonic);
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = fs::read_to_string(source).unwrap_or_else(|_| "unknown source".to_owned());
    let detail = format!("{}, resolution {} ns", source.trim(), resolution.tv_nsec);
    if resolution.tv_sec == 0 && resolution.tv_nsec <= 1_000 {
        Ok(detail)
    } else {
        Err(format!(
            "the clock is too coarse ({detail}); boot with highres=on, or use --backend vm"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_examined_whatever_it_is_and_nothing_is_left_behind() {
        let record = examine(Some(Path::new("/nowhere/vmlinuz")));
        let [host, vm] = record.backends.as_slice() else {
            panic!("two backends: {record:?}")
        };
        assert_eq!((host.backend, vm.backend), (Backend::Host, Backend::Vm));
        assert!(
            vm.missing.iter().any(|why| why.contains("/nowhere/vmlinuz")),
            "{vm:?}"
        );
        assert_eq!(record.chosen, host.available().then_some(Backend::Host));
        for (availability, backend) in record.backends.iter().zip(Backend::ALL) {
            let bad = record
                .probes
                .iter()
                .filter(|probe| probe.backend == backend && probe.finding == Finding::Bad);
            assert_eq!(bad.count(), availability.missing.len());
        }
        let left = fs::read_dir("/run/netns").into_iter().flatten().flatten();
        let ours = format!("{NAMESPACE}{}", std::process::id());
        assert!(
            left.map(|entry| entry.file_name())
                .all(|name| name.to_string_lossy() != ours)
        );
        if !host.available() {
            let why = choose(Some(Path::new("/nowhere/vmlinuz")))
                .expect_err("no backend")
                .to_string();
            assert!(!why.contains('\n') && why.contains(&host.missing[0]), "{why}");
        }
    }

    #[test]
    fn a_machine_without_tools_is_told_what_to_install() {
        let tools = Tools::in_directories([]);
        let mut doctor = Doctor {
            tools: &tools,
            probes: Vec::new(),
            missing: [Vec::new(), Vec::new()],
        };
        doctor.host();
        doctor.vm(None);
        let [host, vm] = &doctor.missing;
        assert!(
            host.contains(&"there is no tc: run `apt-get install iproute2`".to_owned()),
            "{host:?}"
        );
        assert!(
            vm.contains(&"there is no qemu-system-x86_64: run `apt-get install qemu-system-x86`".to_owned()),
            "{vm:?}"
        );
        let netem = doctor
            .probes
            .iter()
            .find(|probe| probe.what == "netem")
            .expect("a probe");
        assert_eq!(netem.finding, Finding::Unknown);
    }
}
