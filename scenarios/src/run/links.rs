//! From a link of the scenario to a link of the network, with the traces and tables that it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longhaul_core::random::Streams;
use longhaul_core::record::InputRecord;
use longhaul_core::units::BitRate;
use longhaul_net::course::Steps;
use longhaul_net::jitter::{self, Measured, Table};
use longhaul_net::link::{Changes, LinkSpec};
use longhaul_net::trace::{self, DeliveryTrace};

use super::build::BuildError;
use crate::schema::{Jitter, Link, Rate, Spread};
use crate::source;

/// What one delivery opportunity carries: a full frame. mahimahi counts the same packet without its Ethernet header
/// and with four bytes of its own.
const OPPORTUNITY_BYTES: u32 = 1_514;

/// The text files of a scenario, each read once, and the notes of what was read.
pub struct Files {
    base_dir: PathBuf,
    texts: BTreeMap<String, String>,
    inputs: Vec<InputRecord>,
}

impl Files {
    /// Files relative to `base_dir`; `inputs` are noted already.
    pub fn new(base_dir: &Path, inputs: Vec<InputRecord>) -> Files {
        Files {
            base_dir: base_dir.to_owned(),
            texts: BTreeMap::new(),
            inputs,
        }
    }

    /// What was read.
    pub fn into_inputs(self) -> Vec<InputRecord> {
        self.inputs
    }

    /// The text of a file, made into something else.
    fn parse<T, E: std::fmt::Display>(
        &mut self,
        file: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, BuildError> {
        if !self.texts.contains_key(file) {
            let path = self.base_dir.join(file);
            let text = source::read_text(&path).map_err(|error| BuildError::File(error.to_string()))?;
            self.inputs.push(InputRecord {
                file: file.to_owned(),
                bytes: text.len() as u64,
                blake3: blake3::hash(text.as_bytes()).to_hex().to_string(),
            });
            self.texts.insert(file.to_owned(), text);
        }
        parse(&self.texts[file]).map_err(|error| BuildError::File(format!("{file}: {error}")))
    }
}

/// What the network has to know of a link.
///
/// # Errors
/// A file that cannot be read or means nothing.
pub fn spec(link: &Link, files: &mut Files, streams: &Streams) -> Result<LinkSpec, BuildError> {
    let mut spec = link.spec_without_files();
    match &link.rate {
        Rate::Constant(_) => {}
        Rate::Deliveries { file } => {
            let trace = files.parse(file, |text| DeliveryTrace::parse(text, OPPORTUNITY_BYTES))?;
            spec.changes.delivery = Some(Arc::new(trace));
        }
        Rate::Poisson(mean) => {
            let stream = streams.stream(&link.name(), "deliveries");
            let trace = DeliveryTrace::poisson(*mean, OPPORTUNITY_BYTES, stream);
            spec.changes.delivery = Some(Arc::new(trace.expect("checked when it was read")));
        }
        Rate::Recorded { file } => {
            spec.changes.steps = Some(Arc::new(files.parse(file, trace::rate_trace)?));
        }
    }
    spec.jitter = jitter(&link.jitter, files)?;
    Ok(spec)
}

impl Link {
    /// What the network has to know of it, without what stands in files or is drawn: rates over time and jitter.
    pub(crate) fn spec_without_files(&self) -> LinkSpec {
        let steps = (!self.changes.is_empty()).then(|| {
            let steps = Steps::new(self.changes.clone(), self.period).expect("checked when it was read");
            Arc::new(steps)
        });
        LinkSpec {
            // A trace takes the place of a rate.
            rate: self.rate.constant().unwrap_or(BitRate::from_bits_per_s(0)),
            delay: self.delay,
            cost: self.cost,
            mtu: self.mtu,
            queue: self.queue.clone(),
            loss: self.loss,
            jitter: jitter::Jitter::None,
            reorder: self.reorder,
            duplicate: self.duplicate,
            corrupt: self.corrupt,
            changes: Changes {
                steps,
                delivery: None,
            },
            background: self.background,
        }
    }
}

fn jitter(law: &Jitter, files: &mut Files) -> Result<jitter::Jitter, BuildError> {
    Ok(match law {
        Jitter::None => jitter::Jitter::None,
        Jitter::Normal(Spread { mean, sd }) => jitter::Jitter::Normal { mean: *mean, sd: *sd },
        Jitter::Uniform { max } => jitter::Jitter::Uniform { max: *max },
        Jitter::Pareto(Spread { mean, sd }) => jitter::Jitter::Pareto { mean: *mean, sd: *sd },
        Jitter::ParetoNormal(Spread { mean, sd }) => jitter::Jitter::ParetoNormal { mean: *mean, sd: *sd },
        Jitter::Table { spread, file } => jitter::Jitter::Table {
            mean: spread.mean,
            sd: spread.sd,
            table: Arc::new(files.parse(file, Table::parse)?),
        },
        Jitter::Measured { file } => {
            let measured = files.parse(file, Measured::parse)?;
            jitter::Jitter::Table {
                mean: measured.mean,
                sd: measured.sd,
                table: Arc::new(measured.table),
            }
        }
    })
}
