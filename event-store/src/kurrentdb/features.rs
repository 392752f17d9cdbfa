//! The methods of KurrentDB's protocol that the server implements.

use factum_compatible_protocols::kurrentdb::client::server_features::{
    SupportedMethod, SupportedMethods,
};

/// The version of KurrentDB whose protocol the server speaks. Clients choose among their features by it.
const VERSION: &str = "26.1.0";

/// The services, their methods, and the optional behaviour of a method. Names are in lower case.
const METHODS: [(&str, &str, &[&str]); 18] = [
    ("event_store.client.gossip.gossip", "read", &[]),
    (
        "event_store.client.persistent_subscriptions.persistentsubscriptions",
        "create",
        &["stream", "all"],
    ),
    (
        "event_store.client.persistent_subscriptions.persistentsubscriptions",
        "delete",
        &["stream", "all"],
    ),
    (
        "event_store.client.persistent_subscriptions.persistentsubscriptions",
        "getinfo",
        &["stream", "all"],
    ),
    (
        "event_store.client.persistent_subscriptions.persistentsubscriptions",
        "list",
        &["stream", "all"],
    ),
    (
        "event_store.client.persistent_subscriptions.persistentsubscriptions",
        "read",
        &["stream", "all"],
    ),
    (
        "event_store.client.persistent_subscriptions.persistentsubscriptions",
        "replayparked",
        &["stream", "all"],
    ),
    (
        "event_store.client.persistent_subscriptions.persistentsubscriptions",
        "restartsubsystem",
        &[],
    ),
    (
        "event_store.client.persistent_subscriptions.persistentsubscriptions",
        "truncateparked",
        &["stream", "all"],
    ),
    (
        "event_store.client.persistent_subscriptions.persistentsubscriptions",
        "update",
        &["stream", "all"],
    ),
    (
        "event_store.client.server_features.serverfeatures",
        "getsupportedmethods",
        &[],
    ),
    ("event_store.client.streams.streams", "append", &[]),
    (
        "event_store.client.streams.streams",
        "batchappend",
        &["deadline_duration"],
    ),
    ("event_store.client.streams.streams", "delete", &[]),
    (
        "event_store.client.streams.streams",
        "read",
        &["position", "events"],
    ),
    ("event_store.client.streams.streams", "tombstone", &[]),
    (
        "kurrentdb.protocol.v2.streams.streamsservice",
        "appendrecords",
        &[],
    ),
    (
        "kurrentdb.protocol.v2.streams.streamsservice",
        "appendsession",
        &[],
    ),
];

/// Returns the methods that the server implements.
#[must_use]
pub fn supported_methods() -> SupportedMethods {
    let methods = METHODS
        .iter()
        .map(|(service, method, features)| SupportedMethod {
            method_name: (*method).to_owned(),
            service_name: (*service).to_owned(),
            features: features
                .iter()
                .map(|feature| (*feature).to_owned())
                .collect(),
        });
    SupportedMethods {
        methods: methods.collect(),
        event_store_server_version: VERSION.to_owned(),
    }
}
