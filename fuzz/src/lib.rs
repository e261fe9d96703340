//! Fuzz targets of the data path: everything that decodes bytes of a peer, and the round trips around it.
//!
//! A target is a function of bytes that panics when something that must hold does not: a decoder accepts arbitrary
//! bytes without a panic, a hang or too much memory, refuses what is damaged, leaves alone what it must, and gives back
//! what was encoded. The same functions run under libFuzzer (`targets/`, with the feature `libfuzzer`) and, over the
//! committed corpus and mutations of it, in an ordinary test.
//!
//! To add a target, for instance for the messages of another protocol: write the function and seeds for it in a
//! module here, add a line to [`TARGETS`] and a file in `targets/` with its entry in `Cargo.toml`. The README
//! says how to run it.

pub mod baselines;
pub mod bytes;
pub mod consensus;
pub mod edges;
pub mod federation;
pub mod guests;
pub mod objects;
pub mod pages;
pub mod services;
pub mod transport;
pub mod tunnels;

/// A fuzz target.
pub struct Target {
    /// Its name: that of its binary, and of its folder in `corpus/`.
    pub name: &'static str,
    /// Runs it on some bytes. Panics if something is wrong.
    pub run: fn(&[u8]),
    /// Inputs that get far, made by the code as it is now.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "page_decode",
        run: pages::decode,
        seeds: pages::decode_seeds,
    },
    Target {
        name: "page_round_trip",
        run: pages::round_trip,
        seeds: pages::round_trip_seeds,
    },
    Target {
        name: "object_decode",
        run: objects::decode,
        seeds: objects::decode_seeds,
    },
    Target {
        name: "object_round_trip",
        run: objects::round_trip,
        seeds: objects::round_trip_seeds,
    },
    Target {
        name: "baseline_propagation",
        run: baselines::propagation,
        seeds: baselines::propagation_seeds,
    },
    Target {
        name: "transport_receiver",
        run: transport::receiver,
        seeds: transport::receiver_seeds,
    },
    Target {
        name: "transport_sender",
        run: transport::sender,
        seeds: transport::sender_seeds,
    },
    Target {
        name: "raft_message",
        run: consensus::message,
        seeds: consensus::message_seeds,
    },
    Target {
        name: "raft_member",
        run: consensus::member,
        seeds: consensus::member_seeds,
    },
    Target {
        name: "federation_frame",
        run: federation::frame,
        seeds: federation::frame_seeds,
    },
    Target {
        name: "federation_cluster",
        run: federation::cluster,
        seeds: federation::cluster_seeds,
    },
    Target {
        name: "migration_destination",
        run: guests::destination,
        seeds: guests::destination_seeds,
    },
    Target {
        name: "replication_message",
        run: guests::replication_message,
        seeds: guests::replication_message_seeds,
    },
    Target {
        name: "replication_replica",
        run: guests::replica,
        seeds: guests::replica_seeds,
    },
    Target {
        name: "tunnel_ends",
        run: tunnels::ends,
        seeds: tunnels::ends_seeds,
    },
    Target {
        name: "path_mtu",
        run: tunnels::path_mtu,
        seeds: tunnels::path_mtu_seeds,
    },
    Target {
        name: "edge_message",
        run: edges::message,
        seeds: edges::message_seeds,
    },
    Target {
        name: "edge_machine",
        run: edges::machine,
        seeds: edges::machine_seeds,
    },
    Target {
        name: "service_frame",
        run: services::frame,
        seeds: services::frame_seeds,
    },
    Target {
        name: "service_server",
        run: services::server,
        seeds: services::server_seeds,
    },
];
