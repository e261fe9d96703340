//! Tunnels between sites.
