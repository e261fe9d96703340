//! Everything that bears a name, collected before anything else is decoded, so that a reference can be checked
//! even if what it refers to has other mistakes.

use std::collections::BTreeMap;

use crate::diagnose::{Diagnostic, Place, Sink};
use crate::suggest;
use crate::syntax::Node;

use super::context::{At, Context};
use super::value;

/// Names and where they are declared.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Regions.
    pub regions: BTreeMap<String, Place>,
    /// Virtual machines.
    pub vms: BTreeMap<String, Place>,
    /// Migrations.
    pub migrations: BTreeMap<String, Place>,
    /// Transfers.
    pub transfers: BTreeMap<String, Place>,
    /// Replications.
    pub replications: BTreeMap<String, Place>,
    /// Federations.
    pub federations: BTreeMap<String, Place>,
    /// Streams of datagrams.
    pub datagrams: BTreeMap<String, Place>,
    /// Reservations.
    pub reservations: BTreeMap<String, Place>,
    /// Overlays.
    pub overlays: BTreeMap<String, Place>,
    /// Services.
    pub services: BTreeMap<String, Place>,
    /// Clients of services.
    pub clients: BTreeMap<String, Place>,
    /// Migrations and transfers.
    pub workloads: BTreeMap<String, Place>,
}

impl Names {
    /// The names in the lists of a scenario. Reports those that are given twice.
    pub fn collect(root: &Node, sink: &mut Sink) -> Names {
        let mut names = Names {
            regions: declared(root, "regions", "region", &BTreeMap::new(), sink),
            vms: declared(root, "vms", "vm", &BTreeMap::new(), sink),
            migrations: declared(root, "migrations", "migration", &BTreeMap::new(), sink),
            transfers: BTreeMap::new(),
            replications: BTreeMap::new(),
            federations: BTreeMap::new(),
            datagrams: BTreeMap::new(),
            reservations: BTreeMap::new(),
            overlays: BTreeMap::new(),
            services: BTreeMap::new(),
            clients: BTreeMap::new(),
            workloads: BTreeMap::new(),
        };
        names.transfers = declared(
            root,
            "transfers",
            "transfer or migration",
            &names.migrations,
            sink,
        );
        names.workloads = names.migrations.clone();
        names.workloads.extend(names.transfers.clone());
        let what = "replication, transfer or migration";
        names.replications = declared(root, "replications", what, &names.workloads, sink);
        let mut taken = names.workloads.clone();
        taken.extend(names.replications.clone());
        let what = "federation, replication, transfer or migration";
        names.federations = declared(root, "federations", what, &taken, sink);
        taken.extend(names.federations.clone());
        let what = "stream of datagrams, federation, replication, transfer or migration";
        names.datagrams = declared(root, "datagrams", what, &taken, sink);
        taken.extend(names.datagrams.clone());
        let what = "reservation, stream of datagrams, federation, replication, transfer or migration";
        names.reservations = declared(root, "reservations", what, &taken, sink);
        taken.extend(names.reservations.clone());
        let what = "overlay, federation, replication, transfer or migration";
        names.overlays = declared(root, "overlays", what, &taken, sink);
        taken.extend(names.overlays.clone());
        let what = "service or other thing that moves";
        names.services = declared(root, "services", what, &taken, sink);
        taken.extend(names.services.clone());
        let what = "client, service or other thing that moves";
        names.clients = declared(root, "clients", what, &taken, sink);
        names
    }
}

fn declared(
    root: &Node,
    list: &str,
    what: &str,
    taken: &BTreeMap<String, Place>,
    sink: &mut Sink,
) -> BTreeMap<String, Place> {
    let mut names = BTreeMap::new();
    for (index, item) in root.field(list).map_or(&[][..], Node::items).iter().enumerate() {
        let Some((node, name)) = item
            .field("name")
            .and_then(|node| Some((node, value::text_of(node)?)))
        else {
            continue;
        };
        match names.get(name).or_else(|| taken.get(name)) {
            Some(&first) => {
                let path = format!("{list}[{index}].name");
                let error = Diagnostic::error(node.place, path, format!("another {what} is named `{name}`"));
                sink.push(error.related(first, "here"));
            }
            None => {
                names.insert(name.to_owned(), node.place);
            }
        }
    }
    names
}

/// A name that must be in `known`, such as that of a region (`what`).
pub fn reference(
    cx: &mut Context,
    at: &At,
    what: &str,
    known: fn(&Names) -> &BTreeMap<String, Place>,
) -> Option<String> {
    let written = value::text(cx, at)?;
    let known = known(cx.names);
    if known.contains_key(&written) {
        return Some(written);
    }
    let mut error = Diagnostic::error(
        at.node.head(),
        &*at.path,
        format!("no {what} is named `{written}`"),
    );
    if !cx.sink.is_full() {
        error.help = suggest::help(&written, known.keys().map(String::as_str));
    }
    cx.sink.push(error);
    None
}
