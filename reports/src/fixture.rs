//! A finished run for tests: something of every kind in it.

mod replay;

use longhaul_core::record::*;
use longhaul_core::validation::*;

pub(crate) use replay::replay;

pub(crate) fn migration(name: &str, progress: Progress) -> MigrationRecord {
    let done = progress == Progress::Completed;
    MigrationRecord {
        name: name.to_owned(),
        vm: "db".to_owned(),
        from: "frankfurt".to_owned(),
        to: "new-york".to_owned(),
        progress,
        status: if done { "completed" } else { "active" }.to_owned(),
        started_ns: Some(0),
        began_ns: Some(0),
        job_time_ns: done.then_some(4_123_456_789),
        total_time_ns: done.then_some(4_123_456_789),
        downtime_ns: done.then_some(212_000_000),
        setup_time_ns: Some(80_000_000),
        expected_downtime_ns: None,
        expected_total_time_ns: None,
        stalls: 0,
        interruptions: 0,
        verified_pages: 655,
        ram: RamRecord {
            total: 1 << 30,
            transferred: 270_000_000,
            dirty_sync_count: 5,
            ..RamRecord::default()
        },
        throttle: ThrottleRecord::default(),
        postcopy: None,
        xbzrle_cache: None,
        bounds: BoundsRecord::default(),
        encoding: EncodingRecord {
            raw_bytes: 1_073_741_824,
            ..EncodingRecord::default()
        },
        transport: TransportRecord {
            retransmits: 1234,
            ..TransportRecord::default()
        },
    }
}

/// A replication that has had an outage and was failed over.
pub(crate) fn replication(name: &str) -> ReplicationRecord {
    let rpo = |max_ns| RpoRecord {
        over_ns: 250_000_000_000,
        mean_ns: 7_000_000_000,
        median_ns: 6_500_000_000,
        p95_ns: 12_000_000_000,
        p99_ns: 40_000_000_000,
        max_ns,
        within_target_ns: 240_000_000_000,
    };
    let vm = |vm: &str, max_ns, lost_ns| ProtectedVmRecord {
        vm: vm.to_owned(),
        epochs: 24,
        rpo: Some(rpo(max_ns)),
        resumed: Some(ResumedVmRecord {
            epoch: 24,
            lost_ns,
            rto_ns: 35_500_000_000,
            verified_pages: 2_621,
        }),
    };
    ReplicationRecord {
        name: name.to_owned(),
        from: "frankfurt".to_owned(),
        to: "new-york".to_owned(),
        progress: Progress::Completed,
        started_ns: Some(0),
        seed_ns: Some(8_000_000_000),
        rpo_target_ns: 20_000_000_000,
        memory: 2 << 30,
        vms: vec![
            vm("web", 55_000_000_000, 4_000_000_000),
            vm("shop", 61_000_000_000, 9_000_000_000),
        ],
        epochs: EpochsRecord {
            started: 50,
            applied: 48,
            late: 3,
            interrupted: 2,
            longest_ns: 8_000_000_000,
            verified_pages: 5_242,
            ..EpochsRecord::default()
        },
        outages: vec![OutageRecord {
            noticed_ns: 100_000_000_000,
            reconnected_ns: Some(150_000_000_000),
            catch_up_ns: Some(12_500_000_000),
            while_seeding: false,
        }],
        failover: Some(FailoverRecord {
            stopped_ns: Some(260_000_000_000),
            detected_ns: Some(265_000_000_000),
            decided_ns: 265_000_000_000,
            running_ns: Some(295_500_000_000),
            overlap_ns: 0,
            lost_vms: 0,
        }),
        paused_ns: 120_000_000,
        stopped_ns: 0,
        kept_pages_max: 17,
        encode_ns: 3_000_000_000,
        transferred: 600_000_000,
        encoding: EncodingRecord {
            raw_bytes: 2_400_000_000,
            ..EncodingRecord::default()
        },
        transport: TransportRecord::default(),
    }
}

/// A federation that was parted and is in step again.
pub(crate) fn federation(name: &str) -> FederationRecord {
    let latency = |median_ns| LatencyRecord {
        count: 266,
        mean_ns: 2 * median_ns,
        median_ns,
        p95_ns: 3 * median_ns,
        p99_ns: 4 * median_ns,
        max_ns: 5 * median_ns,
    };
    let cluster = |region: &str, terms_led| ClusterRecord {
        region: region.to_owned(),
        lives: 1,
        down_ns: 0,
        keys: 30,
        state_hash: "0f".repeat(16),
        updates: 84,
        applied: 80,
        waiting: 0,
        longest_outbox: 15,
        committed: 133,
        terms_led,
        sent: 1_127_122,
        received: 690_877,
    };
    FederationRecord {
        name: name.to_owned(),
        topology: "mesh".to_owned(),
        progress: Progress::Completed,
        started_ns: Some(0),
        total_time_ns: Some(51_500_000_000),
        clients_done_ns: Some(50_000_000_000),
        convergence_ns: Some(1_500_000_000),
        clusters: vec![cluster("frankfurt", 2), cluster("new-york", 1)],
        state: StateRecord {
            updates: 168,
            conflicts: 4,
            propagation: Some(latency(1_500_000_000)),
            value_bytes: 6_669_303,
            frame_bytes: 2_055_769,
            ..StateRecord::default()
        },
        log: Some(LogRecord {
            voters: 2,
            proposals: 302,
            committed: 266,
            failed: 36,
            commit_latency: Some(latency(91_000_000)),
            elections: 4,
            terms: 3,
            first_leader_ns: Some(1_640_000_000),
            leaderless_ns: 5_000_000_000,
            longest_leaderless_ns: 3_500_000_000,
            linearizable: Some(true),
            ..LogRecord::default()
        }),
        traffic: TrafficRecord {
            data: 2_437_672,
            acknowledgements: 38_029,
            consensus: 405_651,
            ..TrafficRecord::default()
        },
        partings: vec![PartingRecord {
            between: ("frankfurt".to_owned(), "new-york".to_owned()),
            silent_since_ns: 13_000_000_000,
            noticed_ns: 20_000_000_000,
            reconnected_ns: Some(35_700_000_000),
            reconciled_ns: Some(660_000_000),
            waiting: 45,
            differing_keys: 1,
        }],
        partings_in_all: 1,
        legacy_estimate_percent: 90,
        segments: 13_000,
        retransmits: 401,
    }
}

pub(crate) fn assertion(verdict: Verdict) -> AssertionRecord {
    AssertionRecord {
        metric: "MigrationTotalTime".to_owned(),
        statistic: "P95".to_owned(),
        scope: "all".to_owned(),
        bound: "≤ 300 s".to_owned(),
        critical: true,
        samples: 2,
        value: (verdict != Verdict::Inconclusive).then(|| "4.123456789 s".to_owned()),
        value_exact: (verdict != Verdict::Inconclusive).then_some(4_123_456_789),
        verdict,
        reason: "2 samples are too few for a 95th percentile, which wants at least 20".to_owned(),
    }
}

pub(crate) fn run() -> RunRecord {
    RunRecord {
        format: RECORD_FORMAT,
        tool_version: "0.1.0".to_owned(),
        model_version: 1,
        scenario: "two-regions".to_owned(),
        question: "How long?".to_owned(),
        expect: "Not long.".to_owned(),
        scenario_hash: "ab".repeat(32),
        inputs: Vec::new(),
        seed: u64::MAX,
        seeds: None,
        fidelity: Fidelity::Packet,
        fidelity_reason: None,
        ended: Ended::Horizon,
        aborted: None,
        verdict: Verdict::Inconclusive,
        simulated_ns: 300_000_000_000,
        events: 12_345_678,
        digest: "00ff00ff00ff00ff".to_owned(),
        payload: PayloadRecord {
            declared_share_parts: 10_000_000_000,
            real_bytes: 10_700_000,
            synthetic_bytes: 1_060_000_000,
            verified_pages: 2621,
        },
        migrations: vec![
            migration("m1", Progress::Completed),
            migration("m2", Progress::Unfinished),
            migration("m3", Progress::Failed("every stream died".to_owned())),
            migration("m4", Progress::NotStarted),
        ],
        transfers: vec![TransferRecord {
            name: "backup".to_owned(),
            from: "frankfurt".to_owned(),
            to: "new-york".to_owned(),
            progress: Progress::Completed,
            started_ns: Some(0),
            size: Some(100_000_000),
            duration_ns: None,
            received: 100_000_000,
            received_in_time: None,
            fairness_millionths: Some(1_000_000),
            completion_ns: Some(8_000_000_000),
            first_stream_ns: Some(8_000_000_000),
            handshake_ns: Some(80_000_000),
            streams: 1,
            segments: 70_000,
            retransmits: 0,
            amst: None,
        }],
        replications: Vec::new(),
        federations: Vec::new(),
        datagrams: Vec::new(),
        reservations: Vec::new(),
        demands: Vec::new(),
        routes: Vec::new(),
        services: Vec::new(),
        clients: Vec::new(),
        overlays: Vec::new(),
        links: vec![LinkRecord {
            name: "frankfurt->new-york".to_owned(),
            rate_bits_per_s: Some(1_000_000_000),
            delay_ns: 40_000_000,
            delivered_bytes: 1_198_500_000,
            busy_ns: 9_600_000_000,
            active_ns: 12_800_000_000,
            packets: Some(LinkPackets {
                offered_packets: 800_000,
                offered_bytes: 1_200_000_000,
                delivered_packets: 799_000,
                lost_packets: 1_000,
                queue_delay_max_ns: 3_500_000,
                queue_bytes_max: 437_500,
                ..LinkPackets::default()
            }),
        }],
        unrouted_packets: 0,
        oversized_packets: 0,
        assertions: vec![assertion(Verdict::Pass), assertion(Verdict::Inconclusive)],
        warnings: vec![
            "the queue of frankfurt->new-york is smaller than its bandwidth-delay product".to_owned(),
        ],
        reproduce: "longhaul run two-regions.ron --seed 18446744073709551615".to_owned(),
    }
}

/// A validation of two configurations, of which one is not modelled.
pub(crate) fn validation() -> ValidationRecord {
    let measured = DistributionRecord {
        runs: 8,
        unfinished: 0,
        min_ns: Some(5_100_000_000),
        first_quartile_ns: Some(5_200_000_000),
        median_ns: Some(5_226_459_000),
        third_quartile_ns: Some(5_300_000_000),
        max_ns: Some(5_400_000_000),
    };
    let modelled = ConfigurationRecord {
        name: "17".to_owned(),
        parameters: ParametersRecord {
            rtt_ns: 40_500_000,
            rate_bits_per_s: 50_000_000,
            loss_parts: 100_000_000,
            loss_model: "gemodel".to_owned(),
            loss_burst: Some(4),
            jitter_ns: 500_000,
            controller: "cubic".to_owned(),
            streams: 2,
            bytes: 30_000_000,
            room_packets: 250,
            netem: true,
            buffers: "big".to_owned(),
        },
        first_seed: u64::MAX,
        measured: measured.clone(),
        measured_noise: 0.004,
        simulated: Some(DistributionRecord {
            median_ns: Some(5_597_537_589),
            ..measured.clone()
        }),
        simulated_noise: Some(0.002),
        error: Some(0.071),
        first_quartile_error: Some(0.0),
        third_quartile_error: Some(0.0),
        random: true,
        inside: Some(true),
        inside_narrow: Some(false),
    };
    let mut unmodelled = ConfigurationRecord {
        name: "18".to_owned(),
        simulated: None,
        simulated_noise: None,
        error: None,
        first_quartile_error: None,
        third_quartile_error: None,
        inside: None,
        inside_narrow: None,
        ..modelled.clone()
    };
    unmodelled.parameters.controller = "bbr".to_owned();
    ValidationRecord {
        format: VALIDATION_FORMAT,
        tool_version: "0.1.0".to_owned(),
        model_version: 1,
        table: "transfers.csv".to_owned(),
        table_blake3: "ab".repeat(32),
        filter: String::new(),
        seeds: 64,
        fidelity: Fidelity::Packet,
        host_delay_ns: 24_150,
        host_delay_source: HostDelaySource::Handshakes(11),
        call_time_ns: 23_000,
        configurations: vec![modelled, unmodelled],
        groups: vec![GroupRecord {
            by: "all".to_owned(),
            class: "all".to_owned(),
            configurations: 1,
            not_modelled: 1,
            median_error: Some(0.071),
            p90_error: Some(0.071),
            worst_error: Some(0.071),
            first_quartile_error: Some(0.0),
            third_quartile_error: Some(0.0),
            random: 1,
            inside: 1,
            inside_narrow: 0,
            noise_median: Some(0.004),
            noise_p90: Some(0.004),
        }],
        tolerances: vec![ToleranceRecord {
            name: "median".to_owned(),
            what: "median error".to_owned(),
            configurations: 1,
            value: Some(0.071),
            bound: 0.03,
            at_least: false,
            verdict: Verdict::Fail,
        }],
        verdict: Verdict::Fail,
    }
}

/// A client of which nothing failed.
pub(crate) fn client(name: &str) -> ClientRecord {
    ClientRecord {
        name: name.to_owned(),
        region: "a".to_owned(),
        service: "shop-service".to_owned(),
        progress: Progress::Completed,
        started: 1_000,
        succeeded: 1_000,
        late: 0,
        failed: 0,
        failures: FailuresRecord::default(),
        in_flight: 0,
        attempts: 1_000,
        retries: 0,
        hedges: 0,
        timeouts: 0,
        late_successes: 0,
        lost_connections: 0,
        failed_lookups: 0,
        ejections: 0,
        breaker_openings: 0,
        latency: None,
        active_ns: 100_000_000_000,
        intervals: 100,
        good_intervals: 100,
        recovery: None,
        fault_effects: Vec::new(),
        latency_quantiles: Vec::new(),
        request_quantiles: Vec::new(),
        series: Vec::new(),
    }
}
