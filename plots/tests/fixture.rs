//! One drawing of every kind, from data that were made up.

use longhaul_plots::boxes::{BoxOf, Boxes};
use longhaul_plots::distribution::{Band, Distributions, Function, Set};
use longhaul_plots::gantt::{Gantt, Kind, Row, Segment, Tone};
use longhaul_plots::heatmap::{Cell, HeatMap};
use longhaul_plots::map::{Link, Node, Topology};
use longhaul_plots::paired::Paired;
use longhaul_plots::pareto::{Better, Candidate, Pareto};
use longhaul_plots::predicted::{Group, Pair, Predicted};
use longhaul_plots::screening::{self, Screening};
use longhaul_plots::sensitivity::{Effect, Order, Parameter, Sensitivity};
use longhaul_plots::survival::{self, Step, Survival};
use longhaul_plots::timeline::{Fault, Line, Timeline};
use longhaul_plots::*;

/// Numbers in [0, 1) that look like chance and are always the same.
pub fn noise(count: u32, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        })
        .collect()
}

pub fn timeline() -> Timeline {
    let line = |name: &str, seed: u64, level: f64, count: u32| {
        let points: Vec<(f64, f64)> = noise(count, seed)
            .into_iter()
            .enumerate()
            .map(|(i, r)| {
                let t = i as f64 * 60.0 / f64::from(count);
                let broken = (20.0..32.0).contains(&t);
                (t, if broken { level * 0.1 } else { level + r * 0.12 })
            })
            .collect();
        let band = points.iter().map(|&(t, y)| (t, y - 0.08, y + 0.1)).collect();
        Line {
            name: name.to_owned(),
            points,
            band,
            ..Line::default()
        }
    };
    Timeline {
        about: About::new("Goodput while a link fails", 10, "replications")
            .interval("95 % t interval of the mean"),
        x: Quantity::linear("virtual time", "s"),
        y: Quantity::linear("goodput", "Gbit/s"),
        lines: vec![
            line("us-east → eu-west", 1, 0.7, 120),
            line("eu-west → ap-south", 2, 0.4, 30),
            line(
                "<script>alert(1)</script> & a name that does not end soon",
                3,
                0.2,
                120,
            ),
        ],
        faults: vec![
            Fault {
                from: 20.0,
                to: 32.0,
                name: "us-east ↔ eu-west down".to_owned(),
            },
            Fault {
                from: 30.0,
                to: 33.0,
                name: "kill eu-west".to_owned(),
            },
            Fault {
                from: 50.0,
                to: 50.0,
                name: "reset".to_owned(),
            },
        ],
        references: vec![
            Reference {
                name: "Mathis bound".to_owned(),
                at: Where::Horizontal(0.95),
            },
            Reference {
                name: "deadline".to_owned(),
                at: Where::Vertical(55.0),
            },
        ],
        span: None,
    }
}

pub fn distributions(function: Function) -> Distributions {
    let set = |name: &str, seed: u64, scale: f64, beyond: u64| Set {
        name: name.to_owned(),
        values: noise(200, seed)
            .into_iter()
            .map(|r| scale * (0.2 + r * r * r) / (1.03 - r))
            .collect(),
        beyond,
        band: Band::Dkw { confidence: 0.95 },
        estimated: None,
    };
    Distributions {
        about: About::new(
            "Completion time of transfers",
            400,
            "transfers of independent runs",
        )
        .interval("95 % Dvoretzky–Kiefer–Wolfowitz band"),
        x: if function == Function::Ccdf {
            Quantity::log("completion time", "s")
        } else {
            Quantity::linear("completion time", "s")
        },
        function,
        sets: vec![set("one stream", 4, 1.0, 0), set("sixteen streams", 5, 0.4, 12)],
        references: vec![Reference {
            name: "objective 10 s".to_owned(),
            at: Where::Vertical(10.0),
        }],
    }
}

pub fn boxes() -> Boxes {
    let of = |name: &str, seed: u64, count: u32| BoxOf {
        name: name.to_owned(),
        values: noise(count, seed)
            .into_iter()
            .map(|r| 2.0 + f64::from(count) * 0.02 + r + if r > 0.97 { 4.0 } else { 0.0 })
            .collect(),
    };
    Boxes {
        about: About::new("Failover by policy", 134, "replications"),
        x: "policy".to_owned(),
        y: Quantity::linear("time without service", "s"),
        boxes: vec![
            of("static", 6, 50),
            of("OSPF 10 s", 7, 40),
            of("BFD 3 × 50 ms", 8, 40),
            of("four runs", 9, 4),
        ],
        references: vec![Reference {
            name: "objective".to_owned(),
            at: Where::Horizontal(3.5),
        }],
    }
}

pub fn heatmap() -> HeatMap {
    let cells: Vec<Vec<Cell>> = (0..8_u32)
        .map(|row| {
            (0..10_u32)
                .map(|column| match (row, column) {
                    (7, 9) => Cell::Failed,
                    (0, 0) => Cell::Missing,
                    _ => {
                        let value = f64::from(row * row + column * 3) / 10.0 + 0.2;
                        if (value - 4.0).abs() < 0.3 {
                            Cell::Inconclusive(value)
                        } else {
                            Cell::Value(value)
                        }
                    }
                })
                .collect()
        })
        .collect();
    HeatMap {
        about: About::new(
            "Migration time by dirty rate and bandwidth",
            78,
            "points of ten replications",
        ),
        x: Quantity::linear("dirty rate", "pages/s"),
        columns: (0..10_u32).map(|i| format!("{}", (i + 1) * 1000)).collect(),
        y: Quantity::linear("bandwidth", "Mbit/s"),
        rows: (0..8_u32).map(|i| format!("{}", 100 << i)).collect(),
        z: Quantity::linear("total time", "s"),
        cells,
        ordered: true,
        bounds: vec![("total time = 4 s".to_owned(), 4.0)],
    }
}

pub fn pareto() -> Pareto {
    let candidates = noise(24, 10)
        .into_iter()
        .zip(noise(24, 11))
        .enumerate()
        .map(|(i, (a, b))| Candidate {
            name: format!("{} streams", i + 1),
            x: 5.0 + a * 20.0,
            y: 0.05 + b * b / (a + 0.2),
            x_interval: Some((4.7 + a * 20.0, 5.4 + a * 20.0)),
            y_interval: Some((0.04 + b * b / (a + 0.2), 0.07 + b * b / (a + 0.2))),
        })
        .collect();
    Pareto {
        about: About::new(
            "Downtime against total time",
            24,
            "configurations of ten replications",
        )
        .interval("95 % t interval"),
        x: Quantity::linear("total time", "s"),
        x_better: Better::Lower,
        y: Quantity::log("downtime", "s"),
        y_better: Better::Lower,
        candidates,
    }
}

pub fn paired() -> Paired {
    let differences: Vec<f64> = noise(30, 12).into_iter().map(|r| r * 0.8 - 0.2).collect();
    Paired {
        about: About::new("Sixteen streams against one", 30, "pairs of replications")
            .interval("95 % t interval of the mean difference"),
        y: Quantity::linear("goodput", "Gbit/s"),
        a: "sixteen".to_owned(),
        b: "one".to_owned(),
        differences,
        mean: Some((0.19, 0.1, 0.28)),
    }
}

pub fn sensitivity() -> Sensitivity {
    let parameter = |name: &str, first: f64, total: f64| Parameter {
        name: name.to_owned(),
        effects: vec![
            Effect {
                value: first,
                interval: Some((first - 0.03, first + 0.04)),
            },
            Effect {
                value: total,
                interval: Some((total - 0.05, total + 0.05)),
            },
        ],
    };
    Sensitivity {
        about: About::new("What decides the downtime", 4096, "runs")
            .interval("95 % bootstrap percentile interval"),
        x: Quantity::linear("share of the variance", ""),
        measures: vec!["first order".to_owned(), "total".to_owned()],
        parameters: vec![
            parameter("loss", 0.12, 0.3),
            parameter("round trip", 0.4, 0.55),
            parameter("dirty rate of the guest's working set", 0.2, 0.33),
            parameter("streams", -0.01, 0.02),
        ],
        order: Order::Largest,
    }
}

pub fn screening() -> Screening {
    let parameter = |name: &str, mu_star: f64, sigma: f64| screening::Parameter {
        name: name.to_owned(),
        mu_star,
        mu_star_interval: Some((mu_star - 0.4, mu_star + 0.4)),
        sigma,
        sigma_interval: Some((sigma * 0.8, sigma * 1.3)),
    };
    Screening {
        about: About::new("What decides the completion time", 120, "points")
            .interval("95 % intervals over 20 trajectories"),
        outcome: Quantity::linear("time", "s"),
        parameters: vec![
            parameter("size", 6.0, 0.4),
            parameter("round trip", 2.0, 1.8),
            parameter("loss", 3.5, 4.0),
            parameter("streams", 0.1, 0.02),
        ],
    }
}

pub fn survival() -> Survival {
    let set = |name: &str, slow: f64, unfinished: Vec<f64>| {
        let times = noise(20, 5).into_iter().map(|r| slow * (0.5 + r));
        let mut times: Vec<f64> = times.collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        let n = 20.0 + unfinished.len() as f64;
        let step = |(index, time): (usize, &f64)| {
            let share = 1.0 - (index as f64 + 1.0) / n;
            Step {
                time: *time,
                share,
                interval: Some(((share - 0.15).max(0.0), (share + 0.12).min(1.0))),
            }
        };
        survival::Set {
            name: name.to_owned(),
            n: 20 + unfinished.len() as u64,
            steps: times.iter().enumerate().map(step).collect(),
            unfinished,
        }
    };
    Survival {
        about: About::new("How long a migration takes", 45, "runs").interval("95 % Kaplan–Meier, pointwise"),
        x: Quantity::linear("time", "s"),
        sets: vec![
            set("1000 pages/s", 10.0, Vec::new()),
            set("4000 pages/s", 18.0, vec![30.0, 30.0, 30.0, 22.0, 12.0]),
        ],
        references: vec![Reference {
            name: "deadline".to_owned(),
            at: Where::Vertical(25.0),
        }],
    }
}

pub fn gantt() -> Gantt {
    let row = |name: &str, start: f64, rounds: &[f64]| {
        let mut at = start;
        let mut segments = vec![Segment {
            from: at,
            to: at + 0.4,
            kind: 0,
            label: "setup".to_owned(),
            tip: "setup".to_owned(),
        }];
        at += 0.4;
        for (index, length) in rounds.iter().enumerate() {
            segments.push(Segment {
                from: at,
                to: at + length,
                kind: 1 + index % 2,
                label: format!("{}", index + 1),
                tip: format!("round {}", index + 1),
            });
            at += length;
        }
        segments.push(Segment {
            from: at,
            to: at + 0.15,
            kind: 3,
            label: String::new(),
            tip: "stands still".to_owned(),
        });
        Row {
            name: name.to_owned(),
            segments,
            marks: vec![(at + 0.15, "runs at the destination".to_owned())],
        }
    };
    Gantt {
        about: About::new("Migrations", 3, "migrations of one run"),
        x: Quantity::linear("virtual time", "s"),
        kinds: vec![
            Kind {
                name: "setup".to_owned(),
                tone: Tone::Quiet,
            },
            Kind {
                name: "odd round".to_owned(),
                tone: Tone::Normal,
            },
            Kind {
                name: "even round".to_owned(),
                tone: Tone::Other,
            },
            Kind {
                name: "guest stands still".to_owned(),
                tone: Tone::Alarm,
            },
        ],
        rows: vec![
            row("database", 0.0, &[4.0, 2.0, 1.0, 0.5, 0.2]),
            row("web", 1.0, &[2.0, 0.4, 0.1]),
            row("a machine with a rather long name", 2.0, &[8.0]),
        ],
        faults: vec![Fault {
            from: 3.0,
            to: 4.0,
            name: "us-east ↔ eu-west down".to_owned(),
        }],
        span: Some((0.0, 12.0)),
    }
}

pub fn topology(geographic: bool) -> Topology {
    let node = |name: &str, lat: f64, lon: f64| Node {
        name: name.to_owned(),
        place: geographic.then_some((lat, lon)),
    };
    let nodes = vec![
        node("us-east-1", 38.9, -77.4),
        node("us-west-2", 45.8, -119.7),
        node("eu-west-1", 53.3, -6.3),
        node("eu-central-1", 50.1, 8.7),
        node("ap-northeast-1", 35.7, 139.7),
        node("ap-southeast-2", -33.9, 151.2),
    ];
    let pairs = [(0, 1), (0, 2), (2, 3), (1, 4), (4, 5), (3, 0)];
    let links = pairs
        .iter()
        .flat_map(|&(a, b)| [(a, b), (b, a)])
        .enumerate()
        .map(|(index, (from, to))| Link {
            name: format!("link {index}"),
            from,
            to,
            utilisation: (index != 5).then_some(index as f64 / 11.0),
            down: index == 8,
        })
        .collect();
    Topology {
        about: About::new("Links at their busiest", 12, "links of one run"),
        nodes,
        links,
    }
}

pub fn predicted() -> Predicted {
    let group = |name: &str, seed: u64, bias: f64| Group {
        name: name.to_owned(),
        pairs: noise(20, seed)
            .into_iter()
            .zip(noise(20, seed + 50))
            .map(|(a, b)| {
                let measured = 10.0 * (0.05 + a * a);
                Pair {
                    name: format!("{measured:.2}"),
                    measured,
                    predicted: measured * (bias + b * 0.2),
                }
            })
            .collect(),
    };
    Predicted {
        about: About::new("Simulated against measured", 40, "transfers"),
        of: Quantity::log("completion time", "s"),
        groups: vec![group("CUBIC", 13, 0.9), group("BBR", 14, 0.85)],
        margins: vec![0.1, 0.3],
    }
}

/// All of them by name.
pub fn all() -> Vec<(&'static str, Drawing)> {
    vec![
        ("timeline", longhaul_plots::timeline::draw(&timeline()).unwrap()),
        (
            "cdf",
            longhaul_plots::distribution::draw(&distributions(Function::Cdf)).unwrap(),
        ),
        (
            "ccdf",
            longhaul_plots::distribution::draw(&distributions(Function::Ccdf)).unwrap(),
        ),
        ("boxes", longhaul_plots::boxes::draw(&boxes()).unwrap()),
        ("heatmap", longhaul_plots::heatmap::draw(&heatmap()).unwrap()),
        ("pareto", longhaul_plots::pareto::draw(&pareto()).unwrap()),
        ("paired", longhaul_plots::paired::draw(&paired()).unwrap()),
        (
            "sensitivity",
            longhaul_plots::sensitivity::draw(&sensitivity()).unwrap(),
        ),
        ("screening", screening::draw(&screening()).unwrap()),
        ("survival", survival::draw(&survival()).unwrap()),
        ("gantt", longhaul_plots::gantt::draw(&gantt()).unwrap()),
        ("map", longhaul_plots::map::draw(&topology(true)).unwrap()),
        ("schematic", longhaul_plots::map::draw(&topology(false)).unwrap()),
        (
            "predicted",
            longhaul_plots::predicted::draw(&predicted()).unwrap(),
        ),
    ]
}
