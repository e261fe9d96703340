//! From the bytes of a table to its configurations.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv::{ErrorKind, ReaderBuilder, StringRecord};
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, ByteSize, Probability};
use longhaul_scenarios::suggest;

use super::cell::Cell;
use super::error::{TableError, Trouble};
use super::{
    Buffers, Configuration, Controller, LARGEST_TABLE, LossModel, MOST_ROWS, Measurement, Parameters, Room,
    Table,
};

/// Every column, the ones that must be there first. A column of another name must begin with [`OWN`].
const COLUMNS: [&str; 19] = [
    "rtt_ms",
    "rate_mbit",
    "controller",
    "bytes",
    "completion_s",
    "config",
    "loss_percent",
    "loss_model",
    "loss_burst",
    "jitter_ms",
    "streams",
    "queue_packets",
    "netem_limit",
    "buffers",
    "handshake_s",
    "repeat",
    "first_stream_s",
    "retransmits",
    "segments_out",
];
/// How many of them must be there.
const REQUIRED: usize = 5;
/// What the names of columns begin with that are the user's own.
const OWN: &str = "x_";

/// Longest round trip: what two directed links of a scenario can make.
const LONGEST_RTT: Span = Span::from_s(7_200);
/// Longest standard deviation of the jitter.
const LONGEST_JITTER: Span = Span::from_s(900);
/// Highest rate of a link.
const HIGHEST_RATE: BitRate = BitRate::from_bits_per_s(100_000_000_000_000);
/// Most bytes of a transfer.
const LARGEST_TRANSFER: ByteSize = ByteSize::from_bytes(1 << 50);
/// Longest measured transfer.
const LONGEST_TRANSFER: Span = Span::from_s(7 * 24 * 3_600);
/// Most connections of a transfer.
const MOST_STREAMS: u32 = 256;
/// Longest mean burst of losses.
const LONGEST_BURST: u32 = 1_000_000;
/// Mean burst of losses where a Gilbert–Elliott row names none.
const DEFAULT_BURST: u32 = 4;
/// Most room for packets.
const MOST_ROOM: u32 = 1_000_000_000;
/// Least and most of a buffer's maximum.
const BUFFER: (ByteSize, ByteSize) = (ByteSize::from_kib(8), ByteSize::from_mib(1024));
/// Longest name of a configuration, in characters.
const LONGEST_NAME: usize = 40;

pub fn open(path: &Path) -> Result<Table, TableError> {
    let shown = path.display().to_string();
    let unreadable = |error| TableError::Unreadable {
        path: shown.clone(),
        error,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST_TABLE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_TABLE {
        return Err(TableError::TooLarge { path: shown });
    }
    let mut table = parse(&shown, &bytes)?;
    if let Some(name) = path.file_name() {
        table.name = name.to_string_lossy().into_owned();
    }
    Ok(table)
}

pub fn parse(name: &str, bytes: &[u8]) -> Result<Table, TableError> {
    let wrong = |line, trouble| TableError::Wrong {
        path: name.to_owned(),
        line,
        trouble,
    };
    // Spreadsheets put a byte order mark in front.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let header = match reader.headers() {
        Ok(header) if header.iter().all(str::is_empty) => return Err(wrong(None, Trouble::Empty)),
        Ok(header) => header.clone(),
        Err(error) => return Err(wrong(Some(1), malformed(&error))),
    };
    let columns = Columns::of(&header).map_err(|trouble| wrong(Some(1), trouble))?;
    let mut collected = Collected::default();
    for (index, row) in reader.records().enumerate() {
        let row = row.map_err(|error| {
            let line = error.position().map(csv::Position::line);
            wrong(line, malformed(&error))
        })?;
        let line = row.position().map_or(0, csv::Position::line);
        if index == MOST_ROWS {
            return Err(wrong(Some(line), Trouble::TooManyRows));
        }
        let row = Row {
            columns: &columns,
            row: &row,
        };
        collected
            .add(row, line)
            .map_err(|trouble| wrong(Some(line), trouble))?;
    }
    if collected.configurations.is_empty() {
        return Err(wrong(None, Trouble::NoRows));
    }
    Ok(Table {
        name: name.to_owned(),
        blake3: blake3::hash(bytes).to_hex().to_string(),
        configurations: collected.configurations,
    })
}

/// What the reader of comma-separated values says, without the position that stands before it anyway.
fn malformed(error: &csv::Error) -> Trouble {
    Trouble::Malformed(match error.kind() {
        ErrorKind::Utf8 { .. } => "this line is not UTF-8".to_owned(),
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("{len} fields where the header names {expected_len} columns")
        }
        _ => error.to_string(),
    })
}

/// Where each known column stands.
struct Columns {
    places: BTreeMap<&'static str, usize>,
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Columns, Trouble> {
        let mut places = BTreeMap::new();
        for (place, name) in header.iter().enumerate() {
            if name.starts_with(OWN) {
                continue;
            }
            let Some(&column) = COLUMNS.iter().find(|column| **column == name) else {
                let shown: String = name.chars().take(40).flat_map(char::escape_default).collect();
                return Err(Trouble::UnknownColumn {
                    column: shown,
                    help: suggest::help(name, COLUMNS.iter().copied()).unwrap_or_default(),
                });
            };
            if places.insert(column, place).is_some() {
                return Err(Trouble::RepeatedColumn {
                    column: column.to_owned(),
                });
            }
        }
        let missing = |column, other| Err(Trouble::MissingColumn { column, other });
        if let Some(column) = COLUMNS[..REQUIRED].iter().find(|c| !places.contains_key(*c)) {
            return missing(column, None);
        }
        if !places.contains_key("netem_limit") && !places.contains_key("queue_packets") {
            return missing("netem_limit", Some("queue_packets"));
        }
        Ok(Columns { places })
    }
}

/// A row with its columns.
#[derive(Clone, Copy)]
struct Row<'t> {
    columns: &'t Columns,
    row: &'t StringRecord,
}

impl<'t> Row<'t> {
    /// The cell of this column. Absent and empty are the same.
    fn get(self, column: &'static str) -> Option<Cell<'t>> {
        let text = self.row.get(*self.columns.places.get(column)?)?;
        (!text.is_empty()).then_some(Cell { column, text })
    }

    /// The cell of a column that must have something in it.
    fn need(self, column: &'static str) -> Cell<'t> {
        self.get(column).unwrap_or(Cell { column, text: "" })
    }

    fn parameters(self) -> Result<Parameters, Trouble> {
        let streams = self
            .get("streams")
            .map_or(Ok(1), |cell| cell.integer(1, MOST_STREAMS))?;
        let loss = match self.get("loss_percent") {
            Some(cell) => cell.quantity::<Probability>("%").and_then(|loss| {
                let all = loss == Probability::ONE;
                if all {
                    Err(cell.refuse("everything is lost"))
                } else {
                    Ok(loss)
                }
            })?,
            None => Probability::ZERO,
        };
        let jitter = self.get("jitter_ms").map_or(Ok(Span::ZERO), |cell| {
            cell.quantity_within("ms", Span::ZERO, LONGEST_JITTER)
        })?;
        let least_bytes = ByteSize::from_bytes(u64::from(streams));
        Ok(Parameters {
            rtt: self
                .need("rtt_ms")
                .quantity_within("ms", Span::ZERO, LONGEST_RTT)?,
            rate: self.need("rate_mbit").quantity_within(
                "Mbit/s",
                BitRate::from_bits_per_s(1),
                HIGHEST_RATE,
            )?,
            loss,
            loss_model: self.loss_model(loss)?,
            jitter,
            controller: self.controller()?,
            streams,
            bytes: self
                .need("bytes")
                .quantity_within("B", least_bytes, LARGEST_TRANSFER)?,
            room: self.room()?,
            buffers: self.buffers()?,
        })
    }

    /// Without a word in the table, what is lost is lost independently.
    fn loss_model(self, loss: Probability) -> Result<LossModel, Trouble> {
        let burst = self.get("loss_burst");
        let model = self.get("loss_model");
        let model = match model.map_or("", |cell| cell.text) {
            _ if loss == Probability::ZERO => LossModel::None,
            "" | "iid" => LossModel::Independent,
            "gemodel" => LossModel::Bursts {
                mean: burst.map_or(Ok(DEFAULT_BURST), |cell| cell.integer(1, LONGEST_BURST))?,
            },
            _ => {
                let cell = model.unwrap_or(Cell {
                    column: "loss_model",
                    text: "",
                });
                let allowed = "`iid` or `gemodel`, or `none` where `loss_percent` is 0";
                return Err(cell.refuse(format!("{allowed} is expected, found {}", cell.found())));
            }
        };
        match burst {
            Some(cell) if !matches!(model, LossModel::Bursts { .. }) => {
                Err(cell.refuse("only losses of the model `gemodel` come in bursts"))
            }
            _ => Ok(model),
        }
    }

    fn controller(self) -> Result<Controller, Trouble> {
        let cell = self.need("controller");
        let known = Controller::ALL.iter().find(|known| known.name() == cell.text);
        known.copied().ok_or_else(|| {
            let names: Vec<String> = Controller::ALL
                .iter()
                .map(|c| format!("`{}`", c.name()))
                .collect();
            cell.refuse(format!(
                "one of {} is expected, found {}",
                names.join(", "),
                cell.found()
            ))
        })
    }

    /// Both columns may be filled: then the limit holds, and the other says how it came about.
    fn room(self) -> Result<Room, Trouble> {
        match (self.get("netem_limit"), self.get("queue_packets")) {
            (Some(limit), _) => limit.integer(1, MOST_ROOM).map(Room::Netem),
            (None, Some(queue)) => queue.integer(1, MOST_ROOM).map(Room::Router),
            (None, None) => Err(Cell {
                column: "netem_limit",
                text: "",
            }
            .refuse("neither this nor `queue_packets` says how much can queue")),
        }
    }

    fn buffers(self) -> Result<Buffers, Trouble> {
        let Some(cell) = self.get("buffers") else {
            return Ok(Buffers::Default);
        };
        match cell.text {
            "default" => Ok(Buffers::Default),
            "big" => Ok(Buffers::Big),
            number if number.starts_with(|c: char| c.is_ascii_digit()) => {
                cell.quantity_within("B", BUFFER.0, BUFFER.1).map(Buffers::Bytes)
            }
            _ => Err(cell.refuse(format!(
                "`default`, `big` or a maximum in bytes is expected, found {}",
                cell.found()
            ))),
        }
    }

    fn measurement(self) -> Result<Measurement, Trouble> {
        let handshake = self.get("handshake_s").map(|cell| cell.seconds(LONGEST_TRANSFER));
        Ok(Measurement {
            completion: self.need("completion_s").seconds(LONGEST_TRANSFER)?,
            handshake: handshake.transpose()?,
        })
    }

    /// The configuration's name, where the table gives one.
    fn name(self) -> Result<Option<String>, Trouble> {
        if !self.columns.places.contains_key("config") {
            return Ok(None);
        }
        let cell = self.need("config");
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if cell.text.is_empty() || cell.text.len() > LONGEST_NAME || !cell.text.chars().all(allowed) {
            let form = format!("1 to {LONGEST_NAME} ASCII letters, digits, `_` and `-`");
            return Err(cell.refuse(format!("{form} are expected, found {}", cell.found())));
        }
        Ok(Some(cell.text.to_owned()))
    }
}

/// The configurations so far.
#[derive(Default)]
struct Collected {
    configurations: Vec<Configuration>,
    /// Places by name, or by parameters where the table has no names.
    known: BTreeMap<String, usize>,
}

impl Collected {
    fn add(&mut self, row: Row, line: u64) -> Result<(), Trouble> {
        let name = row.name()?;
        let parameters = row.parameters()?;
        let measurement = row.measurement()?;
        let key = name.clone().unwrap_or_else(|| format!("{parameters:?}"));
        if let Some(&place) = self.known.get(&key) {
            let configuration = &mut self.configurations[place];
            if let Some(column) = difference(&configuration.parameters, &parameters) {
                return Err(Trouble::Contradiction {
                    column,
                    configuration: configuration.name.clone(),
                    first: configuration.line,
                });
            }
            configuration.measurements.push(measurement);
            return Ok(());
        }
        let place = self.configurations.len();
        self.known.insert(key, place);
        self.configurations.push(Configuration {
            name: name.unwrap_or_else(|| (place + 1).to_string()),
            line,
            parameters,
            measurements: vec![measurement],
        });
        Ok(())
    }
}

/// The first column in which two sets of parameters differ.
fn difference(one: &Parameters, other: &Parameters) -> Option<&'static str> {
    let columns = [
        ("rtt_ms", one.rtt == other.rtt),
        ("rate_mbit", one.rate == other.rate),
        ("loss_percent", one.loss == other.loss),
        ("loss_model", one.loss_model == other.loss_model),
        ("jitter_ms", one.jitter == other.jitter),
        ("controller", one.controller == other.controller),
        ("streams", one.streams == other.streams),
        ("bytes", one.bytes == other.bytes),
        ("netem_limit", one.room == other.room),
        ("buffers", one.buffers == other.buffers),
    ];
    columns
        .iter()
        .find(|(_, equal)| !equal)
        .map(|(column, _)| *column)
}
