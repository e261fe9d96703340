//! `longhaul doctor`: what this machine can replay, and how.

use longhaul_core::doctor::{Availability, Backend, BootRecord, DoctorRecord};
use longhaul_replay::tools::Tools;
use longhaul_replay::vm::{VmError, kernel::Places};
use longhaul_replay::{doctor, selftest};
use longhaul_reports::console::{self, Style};
use longhaul_reports::json;

use crate::args::DoctorArgs;
use crate::exit::{Exit, Failure};
use crate::guest;
use crate::interrupt::Interrupt;
use crate::output::{self, Colour};

/// Seed of the trial boot: any.
const SEED: u64 = 1;

/// Examines the machine; fetches a kernel before and boots it afterwards if asked to.
pub fn doctor(args: &DoctorArgs, colour: Colour) -> Result<Exit, Failure> {
    let mut kernel = args.kernel.clone();
    if args.fetch_kernel {
        let fetched = Places::of_system()
            .fetch(&Tools::of_system())
            .map_err(VmError::from)?;
        output::note(&format!(
            "longhaul: kernel {} is in {}\n",
            fetched.release,
            fetched.image.display()
        ));
        kernel = Some(fetched.image);
    }
    let mut record = doctor::examine(kernel.as_deref());
    let can_boot = |one: &Availability| one.backend == Backend::Vm && one.available();
    // Without QEMU or a kernel the report says more than a failed boot.
    if args.boot && record.backends.iter().any(can_boot) {
        let interrupt = Interrupt::install().map_err(Failure::Signals)?;
        let result = guest::self_test(kernel, SEED, "longhaul", &|| interrupt.requested().is_some());
        let (answer, answered) = match result {
            Ok(result) => result,
            Err(VmError::Stopped) => {
                output::note("longhaul: interrupted; the virtual machine has ended\n");
                return Ok(interrupt.requested().unwrap_or(Exit::Interrupted));
            }
            Err(error) => return Err(error.into()),
        };
        if args.verbose {
            output::note(&answered.console);
        }
        record.boot = Some(BootRecord {
            round_trip_ns: answer.test.median_ns(),
            lost: answer.test.lost() as u64,
            tries: u64::from(selftest::ROUND_TRIPS),
            kernel: answer.test.kernel,
            wall_ms: u64::try_from(answered.wall.as_millis()).unwrap_or(u64::MAX),
        });
    }
    output::print(&if args.json {
        json::doctor(&record)
    } else {
        console::doctor(&record, Style::of_stdout(output::colour_of_stdout(colour)))
    })?;
    Ok(exit(&record, args.boot))
}

/// Good if a backend works; a trial boot that was asked for and could not be made is no success.
fn exit(record: &DoctorRecord, boot: bool) -> Exit {
    match record.chosen {
        Some(_) if !boot || record.boot.is_some() => Exit::Passed,
        _ => Exit::Unavailable,
    }
}
