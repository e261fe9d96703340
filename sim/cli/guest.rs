//! What this program does inside the virtual machine of a replay.

use std::path::PathBuf;

use longhaul_core::doctor::Availability;
use longhaul_replay::doctor;
use longhaul_replay::selftest::{self, SelfTest};
use longhaul_replay::tools::Tools;
use longhaul_replay::vm::{self, Answered, Boot, VmError, VmOptions};
use longhaul_scenarios::replay::job::Job;
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};
use crate::replay;

/// A job, in the JSON form that crosses into the virtual machine.
#[derive(Serialize, Deserialize)]
pub enum GuestJob {
    /// Try everything that a replay needs, and send a text back.
    SelfTest {
        /// The text.
        echo: String,
    },
}

/// The answer to [`GuestJob::SelfTest`].
#[derive(Serialize, Deserialize)]
pub struct SelfTestAnswer {
    /// What netem did.
    pub test: SelfTest,
    /// Whether a replay finds all that it needs in there.
    pub host: Availability,
    /// The text again.
    pub echo: String,
}

/// The hidden verb.
pub fn guest() -> Result<Exit, Failure> {
    vm::guest::work(answer).map_err(Failure::Guest)?;
    Ok(Exit::Passed)
}

/// Does a job.
fn answer(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    // A replay brings files along, so its job is not JSON alone.
    if let Ok(job) = Job::from_bytes(&bytes) {
        drop(bytes);
        return replay::guest(job);
    }
    let job: GuestJob = serde_json::from_slice(&bytes).map_err(|error| format!("an unknown job: {error}"))?;
    match job {
        GuestJob::SelfTest { echo } => {
            let test = selftest::run("selftest", &Tools::of_system())?;
            let host = doctor::host();
            Ok(json(&SelfTestAnswer { test, host, echo }))
        }
    }
}

/// Boots once and tries netem; the text must come back.
pub fn self_test(
    kernel: Option<PathBuf>,
    seed: u64,
    echo: &str,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(SelfTestAnswer, Answered), VmError> {
    let options = VmOptions {
        program: std::env::current_exe()?,
        kernel,
        parallel: 1,
        memory_mib: None,
        watchdog: None,
    };
    let job = json(&GuestJob::SelfTest {
        echo: echo.to_owned(),
    });
    let answered = vm::run(&options, &[Boot { job, seed }], stop)?.remove(0);
    let failed = |why: String| VmError::Guest {
        seed,
        why,
        console: answered.console.clone(),
    };
    let answer: SelfTestAnswer = serde_json::from_slice(&answered.answer)
        .map_err(|error| failed(format!("its answer is garbled: {error}")))?;
    match fault(&answer, echo) {
        None => Ok((answer, answered)),
        Some(why) => Err(failed(why)),
    }
}

/// What is wrong with the virtual machine, if anything is.
fn fault(answer: &SelfTestAnswer, echo: &str) -> Option<String> {
    let lacks = |why: &String| format!("a replay would not work in it: {why}");
    let changed = || (answer.echo != echo).then(|| "it does not repeat what it is told".to_owned());
    let fault = answer
        .test
        .fault()
        .or_else(|| answer.host.missing.first().map(lacks));
    fault.or_else(changed)
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("a value with a JSON form")
}
