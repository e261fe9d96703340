//! The families of metrics: names, types, units and what they mean.

/// What a family counts like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up; the name ends in `_total`.
    Counter,
    /// Only goes up, under a name that was given and does not say so.
    Sum,
    /// Always 1; the labels are what it tells. The name ends in `_info`.
    Info,
}

/// A family of metrics.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Family {
    /// The name of its samples.
    pub name: &'static str,
    /// How it counts.
    pub kind: Kind,
    /// The unit that ends its name, before `_total`.
    pub unit: Option<&'static str>,
    /// What it means, in a line without backslashes and quotes.
    pub help: &'static str,
}

const fn family(name: &'static str, kind: Kind, unit: &'static str, help: &'static str) -> Family {
    let unit = if unit.is_empty() { None } else { Some(unit) };
    Family {
        name,
        kind,
        unit,
        help,
    }
}

macro_rules! families {
    ($($item:ident: $name:literal $kind:ident $unit:literal $help:literal;)*) => {
        $(pub(super) static $item: Family = family($name, Kind::$kind, $unit, $help);)*

        /// All of them.
        #[cfg(test)]
        pub(super) static ALL: &[&Family] = &[$(&$item),*];
    };
}

families! {
    LINK_LATENCY: "dwcp_link_latency_milliseconds" Gauge "milliseconds"
        "One way: the propagation delay of the start, and what the bytes seen in the queue wait at the rate of the start. Packet fidelity only; absent while the link is down.";
    LINK_THROUGHPUT: "dwcp_link_throughput_mbps" Gauge "mbps"
        "Bytes that reached the other end in the last 10 s, in 10^6 bit/s, without background traffic.";
    LINK_LOSS: "dwcp_link_packet_loss_percent" Gauge "percent"
        "Of the packets that met their end in the last 10 s, those lost by the loss law, dropped from the queue or lost to a failure. Delivered packets that the time series does not count follow from delivered bytes and the mean length over the run. Absent without packets.";
    LINK_UTILIZATION: "dwcp_link_utilization_percent" Gauge "percent"
        "Bytes that reached the other end in the last 10 s over what the rate of the start carries in that time.";
    LINK_HEALTH: "dwcp_link_health" Gauge ""
        "0: down. 1: degraded, more than 1 % of the packets of the last 10 s were lost (packet fidelity only). 2: up.";
    REGION_INSTANCES: "dwcp_region_active_instances" Gauge "" "Virtual machines that run in the region.";
    REGION_CPU: "dwcp_region_cpu_utilization" Gauge "" "Utilisation of the processors of the region.";
    REGION_IN: "dwcp_region_network_in_bytes" Sum "bytes"
        "Bytes that links delivered to the region since the start, transit included.";
    REGION_OUT: "dwcp_region_network_out_bytes" Sum "bytes"
        "Bytes that links delivered from the region to others since the start, transit included.";

    SDWAN_FLOWS: "patronus_sdwan_active_flows" Gauge "" "Flows on the path.";
    SDWAN_JITTER: "patronus_sdwan_path_jitter_ms" Gauge "ms"
        "Interarrival jitter of the round trips of the probes (RFC 3550).";
    SDWAN_LATENCY: "patronus_sdwan_path_latency_ms" Gauge "ms" "Mean round trip of the probes.";
    SDWAN_LOSS: "patronus_sdwan_path_loss_pct" Gauge "pct" "Share of the probes that were lost.";
    SDWAN_SCORE: "patronus_sdwan_path_score" Gauge "" "The monitor's score of the path, 0 to 100.";
    SDWAN_SITES: "patronus_sdwan_sites_discovered" Gauge "" "Sites that announcements have made known.";

    EVENTS: "longhaul_engine_events_total" Counter "" "Events of the simulation that were executed.";
    RUN_INFO: "longhaul_run_info" Info "" "What was run.";
    SIMULATED: "longhaul_simulated_seconds" Gauge "seconds" "Virtual time since the start.";
    UNROUTED: "longhaul_unrouted_packets_total" Counter "packets"
        "Packets lost in regions without a route to where they were going.";
    OVERSIZED: "longhaul_oversized_packets_total" Counter "packets"
        "Packets lost because a link does not carry their length.";

    LINK_BYTES: "longhaul_link_delivered_bytes_total" Counter "bytes"
        "Bytes that reached the other end; at flow fidelity those of data alone.";
    LINK_LOST: "longhaul_link_lost_packets_total" Counter "packets"
        "Packets lost by the loss law (loss), dropped from the queue (queue) or lost to a failure of the link (down); at flow fidelity expected numbers.";
    LINK_QUEUE: "longhaul_link_queue_bytes" Gauge "bytes" "Bytes that wait in the queue, background traffic included.";
    LINK_OFFERED: "longhaul_link_offered_packets_total" Counter "packets" "Packets offered to the link.";
    LINK_PACKETS: "longhaul_link_delivered_packets_total" Counter "packets" "Packets that reached the other end.";
    LINK_CORRUPTED: "longhaul_link_corrupted_packets_total" Counter "packets"
        "Packets that arrived damaged and were discarded.";
    LINK_BUSY: "longhaul_link_busy_seconds_total" Counter "seconds" "Time spent transmitting.";

    PATH_UP: "longhaul_overlay_path_up" Gauge "" "1: the edge at the start of the path counts it as up. 0: it does not.";
    PATH_STDDEV: "longhaul_overlay_path_round_trip_deviation_seconds" Gauge "seconds"
        "Population standard deviation of the round trips of the probes.";
    PATH_RATE: "longhaul_overlay_path_measured_bytes_per_second" Gauge "" "The rate that packet trains have measured.";
    PATH_DOWNS: "longhaul_overlay_path_failures_total" Counter "" "How often the path went down.";
    EDGE_SWITCHES: "longhaul_overlay_edge_switches_total" Counter ""
        "Times that traffic of the edge went to another path.";
    EDGE_FLAPS: "longhaul_overlay_edge_flaps_total" Counter ""
        "Times that a path of the edge went down less than the hold time after it had come up.";
    EDGE_BYTES: "longhaul_overlay_edge_sent_bytes_total" Counter "bytes"
        "Bytes of probes, BFD and trains that the edge sent, without headers.";

    MIGRATION_STATE: "longhaul_migration_state" Gauge "" "0: not started. 1: under way. 2: completed. 3: failed.";
    MIGRATION_SENT: "longhaul_migration_transferred_bytes_total" Counter "bytes" "Bytes handed to streams.";
    MIGRATION_LEFT: "longhaul_migration_remaining_bytes" Gauge "bytes" "Memory still to be sent.";
    MIGRATION_TIME: "longhaul_migration_duration_seconds" Gauge "seconds"
        "From the beginning until the guest ran at the destination with all its memory.";
    MIGRATION_DOWNTIME: "longhaul_migration_downtime_seconds" Gauge "seconds" "How long the guest stood still.";
    TRANSFER_STATE: "longhaul_transfer_state" Gauge "" "0: not started. 1: under way. 2: completed. 3: failed.";
    TRANSFER_SIZE: "longhaul_transfer_size_bytes" Gauge "bytes" "Bytes in all, of a transfer that has a size.";
    TRANSFER_RECEIVED: "longhaul_transfer_received_bytes_total" Counter "bytes" "Bytes that arrived.";
    TRANSFER_TIME: "longhaul_transfer_duration_seconds" Gauge "seconds"
        "From the first SYN until the last stream has seen the close of the peer.";
    CLIENT_REQUESTS: "longhaul_client_requests_total" Counter ""
        "Requests that ended: in time (succeeded), with a good answer too late (late), or without one (failed).";
    CLIENT_ATTEMPTS: "longhaul_client_attempts_total" Counter "" "Attempts begun: first ones, retries and hedges.";
    CLIENT_IN_FLIGHT: "longhaul_client_in_flight_requests" Gauge "requests" "Requests under way.";
    CLIENT_LATENCY: "longhaul_client_latency_quantile_seconds" Gauge "seconds"
        "Exact quantiles over all answered requests of the run, late ones included and failed ones not, where at least ten lie on either side.";
    SERVER_RECEIVED: "longhaul_server_received_requests_total" Counter "requests" "Requests that reached the server.";
    SERVER_ANSWERED: "longhaul_server_answered_requests_total" Counter "requests" "Requests that it answered.";
    SERVER_REFUSED: "longhaul_server_refused_requests_total" Counter "requests" "Requests that it refused.";
    SERVER_LOST: "longhaul_server_lost_requests_total" Counter "requests" "Requests that were lost with it.";
    SERVER_QUEUED: "longhaul_server_queued_requests" Gauge "requests" "Requests that wait.";
    CLUSTER_UPDATES: "longhaul_cluster_updates_total" Counter "" "Updates of the cluster's own clients.";
    CLUSTER_APPLIED: "longhaul_cluster_applied_changes_total" Counter "changes" "Changes of other clusters that were news.";
    CLUSTER_COMMITTED: "longhaul_cluster_committed_commands_total" Counter "commands"
        "Commands of its clients that the log has answered.";
    CLUSTER_SENT: "longhaul_cluster_sent_bytes_total" Counter "bytes" "Bytes handed to streams.";
    CLUSTER_WAITING: "longhaul_cluster_waiting_changes" Gauge "changes" "Changes that wait for peers, all of them together.";
    DATAGRAMS_SENT: "longhaul_datagrams_sent_total" Counter "" "Datagrams of the stream that were sent.";
    DATAGRAMS_RECEIVED: "longhaul_datagrams_received_total" Counter "" "Datagrams of the stream that arrived.";

    REPLICATION_SENT: "longhaul_replication_transferred_bytes_total" Counter "bytes" "Bytes handed to streams.";
    REPLICATION_BACKLOG: "longhaul_replication_backlog_bytes" Gauge "bytes" "Bytes of snapshots still to be sent.";
    REPLICATION_AGE: "longhaul_replication_recovery_point_seconds" Gauge "seconds"
        "The age of the newest epoch in place at the replica.";
}

/// The families whose names were given, in their order. Those without a sample are named in `metrics.prom`.
pub(super) static DICTATED: &[&Family] = &[
    &LINK_HEALTH,
    &LINK_LATENCY,
    &LINK_LOSS,
    &LINK_THROUGHPUT,
    &LINK_UTILIZATION,
    &REGION_INSTANCES,
    &REGION_CPU,
    &REGION_IN,
    &REGION_OUT,
    &SDWAN_FLOWS,
    &SDWAN_JITTER,
    &SDWAN_LATENCY,
    &SDWAN_LOSS,
    &SDWAN_SCORE,
    &SDWAN_SITES,
];
