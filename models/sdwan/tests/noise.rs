//! Decisions under noise, with hysteresis and without.

use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_sdwan::judge::{Judge, shortfall};
use longhaul_sdwan::score::{Attributes, Quality};
use longhaul_sdwan::{Command, Config, Hysteresis};

use crate::world::{Link, World, at_ms, peer, web};

/// What became of one run.
struct Outcome {
    switches: f64,
    /// Percent of the time on a path that was worse than the best one by more than 5 points.
    wrong: f64,
}

/// The path as it is: round trips over two equal links, each with a uniform delay on top of the propagation.
fn truth(link: &Link) -> Attributes {
    let (delay, jitter) = (link.delay.as_s_f64() * 1e3, link.jitter.as_s_f64() * 1e3);
    let kept = 1.0 - link.loss.as_f64();
    Attributes {
        quality: Some(Quality {
            latency_ms: 2.0 * delay + jitter,
            jitter_ms: jitter / 6f64.sqrt(),
            loss_percent: 100.0 * (1.0 - kept * kept),
        }),
        rate: None,
        microdollars_per_gb: None,
    }
}

/// New properties for a path.
fn change(world: &mut World, path: usize, random: &mut Stream) {
    let mut link = Link::new(Span::from_ms(20 + random.below(60)));
    link.jitter = Span::from_ms(random.below(20));
    link.loss = Probability::from_ratio(random.below(20), 1_000).unwrap();
    for edge in 0..2 {
        let old = world.link(edge, path);
        (old.delay, old.jitter, old.loss) = (link.delay, link.jitter, link.loss);
    }
}

/// Two hours with two noisy paths. Each changes every `change_every_s` seconds on average, if at all.
fn run(hysteresis: Option<Hysteresis>, change_every_s: Option<u64>, seed: u64) -> Outcome {
    let configure = |config: &mut Config| {
        config.bandwidth = None;
        config.report = None;
        config.hysteresis = hysteresis;
        config.idle_timeout = None;
    };
    let mut world = World::pair(&[40, 40], configure, seed);
    let mut random = Streams::new(seed, 0).stream("weather", "paths");
    for path in 0..2 {
        for edge in 0..2 {
            let link = world.link(edge, path);
            link.jitter = Span::from_ms(20);
            link.loss = Probability::from_ratio(1, 100).unwrap();
        }
    }
    world.run_until(at_ms(120_000));
    world.classify(1, web());
    let objective = world.edges[0].config().policies.as_slice()[3].objective;
    let mut judge = Judge::new(5.0);
    for _ in 0..7_200 {
        let changes = change_every_s.is_some_and(|mean| random.below(mean) < 2);
        if changes {
            let path = random.below(2) as usize;
            change(&mut world, path, &mut random);
        }
        let paths = [0, 1].map(|path| truth(world.link(0, path)));
        let used = world.edges[0].path_of(1).map(|used| usize::from(used == peer(1)));
        judge.observe(world.now, shortfall(&paths, used, &objective));
        world.run_for(Span::from_s(1));
    }
    world.command(0, Command::Ended { flow: 1 });
    Outcome {
        switches: world.edges[0].counters().switches as f64,
        wrong: judge.share().expect("time has passed").as_f64() * 100.0,
    }
}

/// Mean and half the width of its 95 % interval over 12 seeds (t of 11 degrees of freedom: 2.201).
fn interval(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values
        .iter()
        .map(|value| (value - mean) * (value - mean))
        .sum::<f64>()
        / (n - 1.0);
    (mean, 2.201 * (variance / n).sqrt())
}

/// Intervals of switches and of the share of wrong time.
fn intervals(hysteresis: Option<Hysteresis>, change_every_s: Option<u64>) -> [(f64, f64); 2] {
    let runs: Vec<Outcome> = (0..12)
        .map(|seed| run(hysteresis, change_every_s, seed))
        .collect();
    let of = |f: fn(&Outcome) -> f64| interval(&runs.iter().map(f).collect::<Vec<f64>>());
    [of(|outcome| outcome.switches), of(|outcome| outcome.wrong)]
}

#[test]
fn between_equally_noisy_paths_hysteresis_saves_the_switches_that_noise_causes() {
    let [(with, _), _] = intervals(Some(Hysteresis::default()), None);
    let [(without, spread), (wrong, _)] = intervals(None, None);
    // Nothing is wrong there, whichever path is taken.
    assert_eq!(wrong, 0.0);
    assert!(
        without - spread > 300.0,
        "{without} ± {spread} without hysteresis"
    );
    assert!(with * 20.0 < without, "{with} with, {without} without");
}

#[test]
fn while_paths_change_hysteresis_trades_switches_for_time_on_the_worse_path() {
    let [(with, with_spread), (wrong_with, _)] = intervals(Some(Hysteresis::default()), Some(600));
    let [(without, without_spread), (wrong_without, _)] = intervals(None, Some(600));
    assert!(
        with + with_spread < without - without_spread,
        "{with} ± {with_spread}, {without} ± {without_spread}"
    );
    assert!(
        wrong_without < wrong_with,
        "{wrong_without} % without, {wrong_with} % with"
    );
    // Without hysteresis a wrong choice lasts until the window has seen the change.
    assert!(
        wrong_without < 2.0 && wrong_with < 5.0,
        "{wrong_without} % without, {wrong_with} % with"
    );
}
