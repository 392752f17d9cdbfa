//! [`Heartbeat`]: the document of a node.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::os_process::OsProcess;

/// The prefix of the documents of nodes.
pub const HEARTBEATS: &str = "node/";

/// Returns the key of the document of `node`.
pub fn heartbeat_key(node: Uuid) -> String {
    format!("{HEARTBEATS}{node}")
}

/// The document of a node.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    /// The time that other nodes wait for the next heartbeat, in milliseconds.
    pub lease_ms: u64,
    /// The partitions that the node can process.
    pub registered: BTreeSet<String>,
    /// The number of partitions that the node processes.
    pub held: usize,
    /// A name that stays the same after a restart of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The process of the node.
    pub process: OsProcess,
    /// The [liveness lock](factum_core::document::DocumentStore::liveness_lock) of its store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness_lock: Option<Uuid>,
}
