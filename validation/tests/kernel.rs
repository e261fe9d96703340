use longhaul_validation::{Options, validate, table::Table, simulate::Unwatched};
#[test]
#[ignore]
fn probe() {
    let t = Table::open(std::path::Path::new("/work/shared/truth/transfers.csv")).unwrap();
    let f = std::env::args().find(|a| a.starts_with("F:")).map_or_else(Default::default, |f| f[2..].parse().unwrap());
    let start = std::time::Instant::now();
    let o = Options { filter: f, seeds: 16, host_delay: None, threads: 2, tolerances: Default::default() };
    let r = validate(&t, &o, &Unwatched).unwrap();
    eprintln!("{:?} host {}", start.elapsed(), r.host_delay_ns);
    for g in &r.groups { eprintln!("{:10} {:8} {:4} {:4} {:?} {:?} {:?} in {} {} /{} noise {:?} {:?}", g.by, g.class, g.configurations, g.not_modelled, g.median_error, g.p90_error, g.worst_error, g.inside, g.inside_narrow, g.random, g.noise_median, g.noise_p90); }
    for t in &r.tolerances { eprintln!("{t:?}"); }
    let mut c: Vec<_> = r.configurations.iter().filter(|c| c.simulated.is_some()).collect();
    c.sort_by(|a,b| b.error.map_or(9.,f64::abs).total_cmp(&a.error.map_or(9.,f64::abs)));
    for c in c.iter().take(25) { eprintln!("{} {:?} {:?} err {:?} noise {}", c.name, c.parameters, c.measured.median_ns, c.error, c.measured_noise); }
}
