//! What `longhaul doctor` found.

use longhaul_core::doctor::{Availability, BootRecord, DoctorRecord, Finding, Probe};

use super::{Note, Page, Style, tables};
use crate::human::{self, printable};
use crate::table::Align::Left;
use crate::table::Table;

/// Probes, backends, the trial boot and the choice.
pub fn doctor(record: &DoctorRecord, style: Style) -> String {
    let mut page = Page::new(style);
    page.wrapped(&format!("This machine runs {}.", printable(&record.kernel)), 2);
    page.table("Probes", &probes(&record.probes), &[]);
    page.table("Backends", &backends(&record.backends), &lacks(&record.backends));
    if let Some(boot) = &record.boot {
        page.blank();
        page.wrapped(&trial(boot), 2);
    }
    page.blank();
    page.wrapped(
        &match record.chosen {
            Some(backend) => format!("replay uses: {}", backend.name()),
            None => "replay uses: nothing; no backend is available here".to_owned(),
        },
        2,
    );
    page.text
}

fn probes(probes: &[Probe]) -> Table {
    let row = |probe: &Probe| {
        vec![
            match probe.finding {
                Finding::Good => tables::GOOD,
                Finding::Bad => tables::LACKING,
                Finding::Unknown => human::MISSING,
            }
            .to_owned(),
            format!("{}: {}", probe.backend.name(), printable(&probe.what)),
            printable(&probe.detail),
        ]
    };
    Table {
        columns: vec![("state", Left), ("what", Left), ("found", Left)],
        name_column: 1,
        rows: probes.iter().map(row).collect(),
    }
}

fn backends(backends: &[Availability]) -> Table {
    let row = |one: &Availability| {
        let (state, how) = if one.available() {
            (tables::GOOD, "available")
        } else {
            (tables::LACKING, "not available")
        };
        vec![state.to_owned(), one.backend.name().to_owned(), how.to_owned()]
    };
    Table {
        columns: vec![("state", Left), ("backend", Left), ("verdict", Left)],
        name_column: 1,
        rows: backends.iter().map(row).collect(),
    }
}

fn lacks(backends: &[Availability]) -> Vec<Note> {
    let of = |one: &Availability| {
        let name = one.backend.name();
        let note = |why: &String| Note {
            status: tables::LACKING,
            text: format!("{name}: {}", printable(why)),
        };
        one.missing.iter().map(note).collect::<Vec<_>>()
    };
    backends.iter().flat_map(of).collect()
}

fn trial(boot: &BootRecord) -> String {
    format!(
        "The virtual machine booted {} and answered after {} of wall time; a round trip through netem of 40 ms \
         took {}, and netem with 10 % loss lost {} of {}.",
        printable(&boot.kernel),
        human::span(boot.wall_ms.saturating_mul(1_000_000)),
        boot.round_trip_ns
            .map_or_else(|| human::MISSING.to_owned(), human::span),
        human::count(boot.lost),
        human::count(boot.tries)
    )
}

#[cfg(test)]
mod tests {
    use longhaul_core::doctor::{Backend, DOCTOR_FORMAT};

    use super::*;

    fn record() -> DoctorRecord {
        let probe = |backend, what: &str, finding, detail: &str| Probe {
            backend,
            what: what.to_owned(),
            finding,
            detail: detail.to_owned(),
        };
        let why = "this kernel has no netem (Error: Specified qdisc kind is unknown.); use --backend vm";
        DoctorRecord {
            format: DOCTOR_FORMAT,
            kernel: "Linux 6.1".to_owned(),
            probes: vec![
                probe(Backend::Host, "netem", Finding::Bad, why),
                probe(Backend::Host, "nested netem", Finding::Unknown, "not tried"),
                probe(Backend::Vm, "QEMU", Finding::Good, "QEMU emulator version 7.2.22"),
            ],
            backends: vec![
                Availability {
                    backend: Backend::Host,
                    missing: vec![why.to_owned()],
                },
                Availability {
                    backend: Backend::Vm,
                    missing: vec![],
                },
            ],
            chosen: Some(Backend::Vm),
            boot: Some(BootRecord {
                kernel: "6.1.0".to_owned(),
                wall_ms: 8_000,
                round_trip_ns: Some(40_020_000),
                lost: 9,
                tries: 100,
            }),
        }
    }

    #[test]
    fn it_fits_every_width_and_leaves_nothing_out() {
        for width in [40, 80, 200] {
            let text = doctor(&record(), Style { width, colour: false });
            let too_long = text
                .lines()
                .find(|line| line.chars().count() > usize::from(width));
            assert_eq!(too_long, None, "{text}");
            assert!(!text.contains('\u{1b}'));
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for word in ["netem", "not available", "available", "7.2.22", "8 s", "lost 9"] {
                assert!(words.contains(word), "{word}: {text}");
            }
            assert!(text.ends_with("\nreplay uses: vm\n"), "{text}");
        }
    }

    #[test]
    fn states_are_coloured_where_colour_is_wanted() {
        let text = doctor(
            &record(),
            Style {
                width: 80,
                colour: true,
            },
        );
        assert!(
            text.contains("\u{1b}[31mlacking\u{1b}[0m") && text.contains("\u{1b}[32mok\u{1b}[0m"),
            "{text}"
        );
    }
}
