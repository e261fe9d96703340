//! A tape: the inputs and outputs of one machine, to be fed back offline.
//!
//! A bug seen once, in a simulation or on a real network, becomes a tape and then a test: the same inputs at
//! the same times must give the same outputs. The file is text, one JSON object per line: a header with the
//! format version, then one line per [`Machine::handle`] with everything that was polled after it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::machine::{Input, Machine, Output};
use crate::time::Instant;

/// Version of the file format.
pub const TAPE_FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    longhaul_tape: u32,
    machine: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    now: Instant,
    input: serde_json::Value,
    outputs: Vec<serde_json::Value>,
}

/// Drives a machine and writes down what passes through its two doors.
pub struct Recorder<M> {
    machine: M,
    name: String,
    lines: Vec<Line>,
}

impl<M> Recorder<M>
where
    M: Machine,
    M::Command: Serialize,
    M::Event: Serialize,
{
    /// Records `machine` under a name that the header carries.
    pub fn new(name: &str, machine: M) -> Recorder<M> {
        Recorder {
            machine,
            name: name.to_owned(),
            lines: Vec::new(),
        }
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The tape so far.
    pub fn tape(&self) -> String {
        let header = Header {
            longhaul_tape: TAPE_FORMAT,
            machine: self.name.clone(),
        };
        let mut text = json(&header).to_string();
        for line in &self.lines {
            text.push('\n');
            text.push_str(&json(line).to_string());
        }
        text.push('\n');
        text
    }
}

impl<M> Machine for Recorder<M>
where
    M: Machine,
    M::Command: Serialize,
    M::Event: Serialize,
{
    type Command = M::Command;
    type Event = M::Event;

    fn handle(&mut self, now: Instant, input: Input<M::Command>) {
        self.lines.push(Line {
            now,
            input: json(&input),
            outputs: Vec::new(),
        });
        self.machine.handle(now, input);
    }

    fn poll(&mut self) -> Output<M::Event> {
        let output = self.machine.poll();
        if let Some(line) = self.lines.last_mut() {
            line.outputs.push(json(&output));
        }
        output
    }
}

/// Why a tape could not be fed back, or how the machine differed from it.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// Not a tape, or damaged.
    #[error("line {line} of the tape: {reason}")]
    Malformed {
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Recorded by another format.
    #[error("the tape has format {found}, this program reads format {TAPE_FORMAT}")]
    Format {
        /// The tape's format.
        found: u32,
    },
    /// The machine answered something else than on the tape.
    #[error("line {line} of the tape, output {output}: recorded {recorded}, now {now}")]
    Differs {
        /// Line number, from 1.
        line: usize,
        /// Output number within the line, from 0.
        output: usize,
        /// What the tape says.
        recorded: String,
        /// What the machine says.
        now: String,
    },
}

/// Feeds a tape to a machine built like the recorded one; returns the number of inputs.
///
/// # Errors
/// The tape is damaged, or the first output that differs.
pub fn feed<M>(machine: &mut M, tape: &str) -> Result<usize, TapeError>
where
    M: Machine,
    M::Command: DeserializeOwned,
    M::Event: Serialize,
{
    let malformed = |line: usize| {
        move |error: serde_json::Error| TapeError::Malformed {
            line,
            reason: error.to_string(),
        }
    };
    let mut lines = tape.lines().enumerate();
    let (_, first) = lines.next().ok_or(TapeError::Malformed {
        line: 1,
        reason: "the tape is empty".to_owned(),
    })?;
    let header: Header = serde_json::from_str(first).map_err(malformed(1))?;
    if header.longhaul_tape != TAPE_FORMAT {
        return Err(TapeError::Format {
            found: header.longhaul_tape,
        });
    }
    let mut fed = 0;
    for (index, text) in lines {
        let number = index + 1;
        let line: Line = serde_json::from_str(text).map_err(malformed(number))?;
        let input: Input<M::Command> = serde_json::from_value(line.input).map_err(malformed(number))?;
        machine.handle(line.now, input);
        for (output, recorded) in line.outputs.iter().enumerate() {
            let now = json(&machine.poll());
            if now != *recorded {
                return Err(TapeError::Differs {
                    line: number,
                    output,
                    recorded: recorded.to_string(),
                    now: now.to_string(),
                });
            }
        }
        fed += 1;
    }
    Ok(fed)
}

fn json(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).expect("inputs and outputs of machines have a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::StreamId;
    use crate::payload::Payload;
    use crate::time::Span;

    /// Answers each wake with a wake `step` later and counts what it receives.
    struct Echo {
        step: Span,
        pending: Vec<Output<u64>>,
    }

    impl Machine for Echo {
        type Command = ();
        type Event = u64;

        fn handle(&mut self, now: Instant, input: Input<()>) {
            self.pending = vec![Output::WakeAt {
                at: now + self.step,
                why: "next",
            }];
            if let Input::Received { payload, .. } = input {
                self.pending.push(Output::Event(payload.len()));
            }
        }

        fn poll(&mut self) -> Output<u64> {
            self.pending.pop().unwrap_or(Output::Idle)
        }
    }

    fn recorded() -> String {
        let mut recorder = Recorder::new(
            "echo",
            Echo {
                step: Span::from_ms(5),
                pending: Vec::new(),
            },
        );
        let received = Input::Received {
            stream: StreamId(3),
            payload: Payload::Synthetic(77),
        };
        for (at, input) in [(0, Input::Start), (7, received), (9, Input::Wake)] {
            recorder.handle(Instant::from_ns(at), input);
            while !recorder.poll().ends_poll() {}
        }
        recorder.tape()
    }

    #[test]
    fn a_machine_agrees_with_its_own_tape() {
        let tape = recorded();
        assert_eq!(
            feed(
                &mut Echo {
                    step: Span::from_ms(5),
                    pending: Vec::new()
                },
                &tape
            )
            .unwrap(),
            3
        );
    }

    #[test]
    fn another_machine_is_caught_at_its_first_different_output() {
        let error = feed(
            &mut Echo {
                step: Span::from_ms(6),
                pending: Vec::new(),
            },
            &recorded(),
        )
        .unwrap_err();
        assert!(
            matches!(
                error,
                TapeError::Differs {
                    line: 2,
                    output: 0,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_damaged_tape_is_refused_with_its_line() {
        let mut echo = Echo {
            step: Span::from_ms(5),
            pending: Vec::new(),
        };
        let tape = recorded();
        assert!(matches!(
            feed(&mut echo, ""),
            Err(TapeError::Malformed { line: 1, .. })
        ));
        assert!(matches!(
            feed(&mut echo, &tape[..tape.len() - 4]),
            Err(TapeError::Malformed { line: 4, .. })
        ));
        let newer = tape.replacen(":1,", ":2,", 1);
        assert!(matches!(
            feed(&mut echo, &newer),
            Err(TapeError::Format { found: 2 })
        ));
    }
}
