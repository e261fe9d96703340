//! Virtual machines, written out.

use crate::decode::print_millionths;
use crate::schema::{Locality, Memory, Pattern, Reads, Vm};

use super::quoted;

/// A virtual machine.
pub fn vm(vm: &Vm) -> String {
    let Vm {
        name,
        region,
        vcpus,
        memory,
        reads,
    } = vm;
    let memory = match memory {
        Memory::Generated { pattern, size, dirty } => {
            let pattern = match pattern {
                Pattern::RealWorld => "RealWorld",
                Pattern::Constant => "Constant",
                Pattern::Bursty => "Bursty",
                Pattern::Sinusoidal => "Sinusoidal",
            };
            format!(
                "Generated(pattern: {pattern}, size: \"{size}\", dirty: (rate: \"{} pages/s\", working_set: \"{}\", \
                 locality: {}, bytes_per_write: \"{}\"))",
                dirty.pages_per_s,
                dirty.working_set,
                locality(dirty.locality),
                dirty.bytes_per_write
            )
        }
        Memory::Images { files, interval } => {
            let files: Vec<String> = files.iter().map(|file| quoted(file)).collect();
            format!("Images(files: [{}], interval: \"{interval}\")", files.join(", "))
        }
    };
    let Reads {
        pages_per_s,
        working_set,
        locality: read,
    } = *reads;
    format!(
        "(name: {}, region: {}, vcpus: {vcpus}, memory: {memory}, reads: (rate: \"{pages_per_s} pages/s\", working_set: \
         \"{working_set}\", locality: {}))",
        quoted(name),
        quoted(region),
        locality(read)
    )
}

fn locality(locality: Locality) -> String {
    match locality {
        Locality::Uniform => "Uniform".to_owned(),
        Locality::Sequential => "Sequential".to_owned(),
        Locality::HotCold { hot, accesses } => format!("HotCold(hot: \"{hot}\", accesses: \"{accesses}\")"),
        Locality::Zipf { exponent_millionths } => {
            format!("Zipf(exponent: {})", print_millionths(exponent_millionths.into()))
        }
    }
}
