//! Golden records of the smoke scenarios: small, readable, integers. They say what happens; that it is right is
//! for `invariants` to say. Review changes with `cargo insta review`, and bump the model version.

use std::fmt::Write;

use longhaul_core::record::{
    FederationRecord, MigrationRecord, OverlayRecord, Progress, ReplicationRecord, RunRecord,
};

use crate::common::{root, run, smoke_scenarios};

#[test]
fn every_smoke_scenario_gives_its_golden_records() {
    for path in smoke_scenarios() {
        let output = run(&path, &[]);
        let name = path
            .file_stem()
            .expect("a file name")
            .to_string_lossy()
            .into_owned();
        insta::with_settings!({ snapshot_path => "goldens", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, table(&output.record));
        });
    }
}

#[test]
fn the_readme_shows_the_first_scenario_and_its_real_result() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let path = root().join("scenarios/first.ron");
    let scenario = std::fs::read_to_string(&path).expect("the first scenario");
    let body = scenario.split_once("Scenario(").expect("a scenario").1;
    assert!(
        readme.contains(body.trim_end()),
        "the README shows another scenario than scenarios/first.ron"
    );
    let digest = run(&path, &[]).record.digest;
    assert!(
        readme.contains(&format!("digest: {digest}")),
        "the README shows another result than {digest}"
    );
}

fn table(record: &RunRecord) -> String {
    let mut text = format!(
        "ended {:?} verdict {:?} at {} ns after {} events, digest {}\n",
        record.ended, record.verdict, record.simulated_ns, record.events, record.digest
    );
    for m in &record.migrations {
        writeln!(
            text,
            "migration {} {:?} total_ns {} downtime_ns {} syncs {} transferred {} zero {} duplicate {} delta {} similar {} literal {} retransmits {}",
            m.name,
            short(&m.progress),
            or_dash(m.total_time_ns),
            or_dash(m.downtime_ns),
            m.ram.dirty_sync_count,
            m.ram.transferred,
            m.encoding.zero_pages,
            m.encoding.duplicate_pages,
            m.encoding.delta_pages,
            m.encoding.similar_pages,
            m.encoding.literal_pages,
            m.transport.retransmits,
        )
        .expect("writing to a string");
        for (what, values) in story(m) {
            writeln!(text, "migration {} {what}{values}", m.name).expect("writing to a string");
        }
    }
    for t in &record.transfers {
        writeln!(
            text,
            "transfer {} {:?} completion_ns {} handshake_ns {} received {} segments {} retransmits {}",
            t.name,
            short(&t.progress),
            or_dash(t.completion_ns),
            or_dash(t.handshake_ns),
            t.received,
            t.segments,
            t.retransmits,
        )
        .expect("writing to a string");
    }
    for d in &record.datagrams {
        writeln!(
            text,
            "datagrams {} {:?} sent {} received {} bursts {} gap_ns {} jitter_ns {} delay {} mos {}",
            d.name,
            short(&d.progress),
            d.sent,
            d.received,
            d.loss_bursts,
            or_dash(d.longest_gap_ns),
            d.jitter_ns,
            d.delay.map_or("-".to_owned(), |delay| format!(
                "{} {} {}",
                delay.min_ns, delay.median_ns, delay.max_ns
            )),
            or_dash(d.mos_thousandths),
        )
        .expect("writing to a string");
    }
    for o in &record.overlays {
        overlay_lines(&mut text, o);
    }
    for r in &record.replications {
        replication_lines(&mut text, r);
    }
    for f in &record.federations {
        federation_lines(&mut text, f);
    }
    for l in &record.links {
        let Some(p) = l.packets else {
            writeln!(text, "link {} delivered_bytes {}", l.name, l.delivered_bytes)
                .expect("writing to a string");
            continue;
        };
        writeln!(
            text,
            "link {} offered {} delivered {} lost {} dropped {} queue_bytes_max {} queue_delay_max_ns {}",
            l.name,
            p.offered_packets,
            p.delivered_packets,
            p.lost_packets,
            p.queue_dropped_packets + p.early_dropped_packets,
            p.queue_bytes_max,
            p.queue_delay_max_ns,
        )
        .expect("writing to a string");
        if p.down_lost_packets > 0 {
            writeln!(text, "link {} down_lost {}", l.name, p.down_lost_packets).expect("writing to a string");
        }
    }
    for a in &record.assertions {
        writeln!(
            text,
            "assertion {} {} {} {}: {} {:?}",
            a.metric,
            a.statistic,
            a.scope,
            a.bound,
            a.value.as_deref().unwrap_or("-"),
            a.verdict
        )
        .expect("writing to a string");
    }
    text
}

/// A number, or a dash in place of one.
fn or_dash(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// An overlay: its paths and what was switched.
fn overlay_lines(text: &mut String, o: &OverlayRecord) {
    for p in &o.paths {
        writeln!(
            text,
            "overlay {} path {} {}->{} up_ns {} downs {} rtt_ns {} sd_ns {} loss {} score {} rate {} tunnel {}",
            o.name,
            p.name,
            p.from,
            p.to,
            p.up_ns,
            p.downs,
            or_dash(p.rtt_mean_ns),
            or_dash(p.rtt_stddev_ns),
            or_dash(p.probe_loss_parts),
            or_dash(p.score_millis),
            or_dash(p.measured_bits_per_s),
            or_dash(p.tunnel.as_ref().and_then(|tunnel| tunnel.established_ns)),
        )
        .expect("writing to a string");
    }
    for p in &o.paths {
        let Some(found) = &p.path_mtu else { continue };
        writeln!(
            text,
            "overlay {} path mtu {} {}->{} plpmtu {} inner {} found {} searches {} probes {} passed {} lost {} holes {} base losses {}",
            o.name,
            p.name,
            p.from,
            p.to,
            found.plpmtu_bytes,
            found.inner_mtu_bytes,
            or_dash(found.found_ns),
            found.searches,
            found.probes_sent,
            found.sizes_passed,
            found.sizes_lost,
            found.black_holes,
            found.base_losses,
        )
        .expect("writing to a string");
    }
    for e in &o.edges {
        let Some(found) = &e.discovery else { continue };
        writeln!(
            text,
            "overlay {} edge {} complete {} known {} announced {} relayed {} believed {} duplicates {} refused {} expired {}",
            o.name,
            e.region,
            or_dash(found.complete_ns),
            found.sites_known,
            found.announced,
            found.relayed,
            found.believed,
            found.duplicates,
            found.refused(),
            found.expired,
        )
        .expect("writing to a string");
    }
    for s in &o.switches {
        writeln!(
            text,
            "overlay {} switch at {} {}->{} {} to {} {} flows {} detection {} decision {} first byte {}",
            o.name,
            s.at_ns,
            s.from,
            s.to,
            s.old_path,
            s.new_path,
            s.why,
            s.flows,
            or_dash(s.detection_ns),
            or_dash(s.decision_ns),
            or_dash(s.first_byte_ns),
        )
        .expect("writing to a string");
    }
    writeln!(
        text,
        "overlay {} wrong {} of {} bytes {}",
        o.name,
        o.wrong_decision_samples,
        o.decision_samples,
        o.edges.iter().map(|edge| edge.bytes_sent).sum::<u64>()
    )
    .expect("writing to a string");
}

/// What only some migrations have.
fn story(m: &MigrationRecord) -> Vec<(&'static str, String)> {
    let mut story = Vec::new();
    if !["", "active", "completed"].contains(&m.status.as_str()) {
        story.push(("status", format!(" {}", m.status)));
    }
    if m.began_ns != m.started_ns {
        story.push((
            "began_ns",
            format!(" {:?} job_ns {:?}", m.began_ns, m.job_time_ns),
        ));
    }
    if m.stalls + m.interruptions > 0 {
        story.push((
            "stalls",
            format!(" {} interruptions {}", m.stalls, m.interruptions),
        ));
    }
    if m.throttle.lost_ns > 0 {
        let throttle = m.throttle;
        let text = format!(
            " {} lost_ns {}",
            throttle.cpu_throttle_percentage, throttle.lost_ns
        );
        story.push(("throttle_percentage", text));
    }
    if let Some(postcopy) = &m.postcopy {
        let (faults, requests) = (postcopy.faults, postcopy.requests);
        let (blocktime, longest) = (postcopy.blocktime_ns, postcopy.longest_fault_ns);
        let text = format!(" {faults} requests {requests} blocktime_ns {blocktime} longest_ns {longest}");
        story.push(("faults", text));
    }
    if let Some(cache) = &m.xbzrle_cache {
        let (found, missed, overflow) = (cache.pages, cache.cache_miss, cache.overflow);
        story.push((
            "cache_pages",
            format!(
                " {found} misses {missed} overflows {overflow} bytes {}",
                cache.bytes
            ),
        ));
    }
    if m.bounds.encoding_ns > 0 {
        let bounds = m.bounds;
        let (network, processor, limit) = (bounds.network_ns, bounds.processor_ns, bounds.bandwidth_limit_ns);
        let text = format!(
            " {network} processor_ns {processor} limit_ns {limit} encoding_ns {}",
            bounds.encoding_ns
        );
        story.push(("network_ns", text));
    }
    story
}

fn federation_lines(text: &mut String, f: &FederationRecord) {
    writeln!(
        text,
        "federation {} {} updates {} spread_median_ns {} convergence_ns {} retransmits {}",
        f.name,
        short(&f.progress),
        f.state.updates,
        or_dash(f.state.propagation.map(|latency| latency.median_ns)),
        or_dash(f.convergence_ns),
        f.retransmits,
    )
    .expect("writing to a string");
    if let Some(log) = &f.log {
        writeln!(
            text,
            "federation {} log committed {} failed {} repeats {} commit_median_ns {} elections {} terms {} leaderless_ns {}",
            f.name,
            log.committed,
            log.failed,
            log.repeats,
            or_dash(log.commit_latency.map(|latency| latency.median_ns)),
            log.elections,
            log.terms,
            log.leaderless_ns,
        )
        .expect("writing to a string");
    }
    for c in &f.clusters {
        writeln!(
            text,
            "federation {} cluster {} lives {} down_ns {} applied {} sent {} received {}",
            f.name, c.region, c.lives, c.down_ns, c.applied, c.sent, c.received
        )
        .expect("writing to a string");
    }
}

fn replication_lines(text: &mut String, r: &ReplicationRecord) {
    let e = &r.epochs;
    writeln!(
        text,
        "replication {} {} seed_ns {} started {} applied {} late {} interrupted {} resyncs {} longest_ns {} kept_pages {} \
         transferred {} zero {} duplicate {} delta {} similar {} literal {} verified {}",
        r.name,
        short(&r.progress),
        or_dash(r.seed_ns),
        e.started,
        e.applied,
        e.late,
        e.interrupted,
        e.resyncs,
        e.longest_ns,
        r.kept_pages_max,
        r.transferred,
        r.encoding.zero_pages,
        r.encoding.duplicate_pages,
        r.encoding.delta_pages,
        r.encoding.similar_pages,
        r.encoding.literal_pages,
        e.verified_pages,
    )
    .expect("writing to a string");
    for vm in &r.vms {
        let rpo = vm.rpo.map_or("-".to_owned(), |rpo| {
            format!(
                "mean {} median {} p99 {} max {} within {} of {}",
                rpo.mean_ns, rpo.median_ns, rpo.p99_ns, rpo.max_ns, rpo.within_target_ns, rpo.over_ns
            )
        });
        let resumed = vm.resumed.map_or("-".to_owned(), |resumed| {
            format!(
                "epoch {} lost_ns {} rto_ns {}",
                resumed.epoch, resumed.lost_ns, resumed.rto_ns
            )
        });
        writeln!(
            text,
            "replication {} vm {} rpo {rpo} resumed {resumed}",
            r.name, vm.vm
        )
        .expect("writing to a string");
    }
    for outage in &r.outages {
        writeln!(
            text,
            "replication {} outage {} back {} caught_up {}",
            r.name,
            outage.noticed_ns,
            or_dash(outage.reconnected_ns),
            or_dash(outage.catch_up_ns)
        )
        .expect("writing to a string");
    }
}

/// The variant, without a reason that may be reworded.
fn short(progress: &Progress) -> &'static str {
    match progress {
        Progress::NotStarted => "not-started",
        Progress::Unfinished => "unfinished",
        Progress::Completed => "completed",
        Progress::Failed(_) => "failed",
    }
}
