//! [`requests`]: the requests of each RPC for an object, as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The requests of each RPC. `NAME` is the stream, the document or the consumer group, and `BASE64` its bytes.
///
/// A new RPC needs a line here and in the table `RPCS` of the server.
const REQUESTS: &[(&str, &[&str])] = &[
    ("/factum.store.v1.EventStoreService/Append", &[APPEND]),
    (
        "/factum.store.v1.EventStoreService/AppendStream",
        &[
            r#"{"append": {"streams": [{"stream": "NAME", "expected": {"any": {}}}], "events": [{"eventType": "a", "data": "e30="}]}}"#,
        ],
    ),
    (
        "/factum.store.v1.EventStoreService/FindAppend",
        &[r#"{"idempotencyKey": {"key": "NAME", "fingerprint": "AAAAAAAAAAAAAAAAAAAAAA=="}}"#],
    ),
    (
        "/factum.store.v1.EventStoreService/Import",
        &[
            r#"{"append": {"streams": [{"stream": "NAME", "expected": {"any": {}}}]}, "recordedAt": "2026-01-01T00:00:00Z"}"#,
        ],
    ),
    (
        "/factum.store.v1.EventStoreService/ReadStream",
        &[r#"{"stream": "NAME"}"#],
    ),
    (
        "/factum.store.v1.EventStoreService/ReadAll",
        &[r#"{"query": {"items": [{"streamPrefix": "NAME"}]}}"#],
    ),
    (
        "/factum.store.v1.EventStoreService/Subscribe",
        &[r#"{"query": {"items": [{"streamPrefix": "NAME"}]}, "heartbeat": "0.1s"}"#],
    ),
    ("/factum.store.v1.EventStoreService/WatchHead", &["{}"]),
    ("/factum.store.v1.EventStoreService/GetHead", &["{}"]),
    (
        "/factum.store.v1.EventStoreService/ListStreams",
        &[r#"{"category": "CATEGORY"}"#],
    ),
    ("/factum.store.v1.EventStoreService/ListEventTypes", &["{}"]),
    (
        "/factum.store.v1.EventStoreService/DescribeStream",
        &[r#"{"stream": "NAME"}"#],
    ),
    ("/factum.store.v1.EventStoreService/GetServerInfo", &["{}"]),
    (
        "/factum.store.v1.StateService/ChangeDocuments",
        &[r#"{"changes": [{"key": "NAME", "put": "{}"}]}"#],
    ),
    (
        "/factum.store.v1.StateService/FindDocuments",
        &[r#"{"keys": ["NAME"]}"#],
    ),
    (
        "/factum.store.v1.StateService/ScanDocuments",
        &[r#"{"prefix": "NAME"}"#],
    ),
    (
        "/factum.store.v1.StateService/SaveSnapshot",
        &[
            r#"{"snapshot": {"stream": "NAME", "version": 1, "position": 1, "schemaVersion": 1, "data": "e30="}}"#,
        ],
    ),
    (
        "/factum.store.v1.StateService/LoadSnapshot",
        &[r#"{"stream": "NAME"}"#],
    ),
    ("/factum.store.v1.StateService/ClearSnapshots", &["{}"]),
    (
        "/factum.store.v1.ConsumerGroupService/CreateGroup",
        &[r#"{"name": "NAME", "settings": {"query": {"items": [{"streamPrefix": "NAME"}]}}}"#],
    ),
    (
        "/factum.store.v1.ConsumerGroupService/UpdateGroup",
        &[r#"{"name": "NAME", "settings": {"query": {"items": [{"streamPrefix": "NAME"}]}}}"#],
    ),
    (
        "/factum.store.v1.ConsumerGroupService/DescribeGroup",
        &[r#"{"name": "NAME"}"#],
    ),
    ("/factum.store.v1.ConsumerGroupService/ListGroups", &["{}"]),
    (
        "/factum.store.v1.ConsumerGroupService/ResetGroup",
        &[r#"{"name": "NAME"}"#],
    ),
    (
        "/factum.store.v1.ConsumerGroupService/ResumeGroup",
        &[r#"{"name": "NAME"}"#],
    ),
    (
        "/factum.store.v1.ConsumerGroupService/Consume",
        &[r#"{"start": {"group": "NAME", "consumer": "a", "credit": 1}}"#],
    ),
    (
        "/factum.store.v1.ConsumerGroupService/ListDeadLetters",
        &[r#"{"group": "NAME"}"#],
    ),
    (
        "/factum.store.v1.ConsumerGroupService/RetryDeadLetters",
        &[r#"{"group": "NAME", "positions": [1]}"#],
    ),
    (
        "/factum.store.v1.ConsumerGroupService/DiscardDeadLetters",
        &[r#"{"group": "NAME", "positions": [1]}"#],
    ),
    (
        "/factum.store.v1.ConsumerGroupService/DeleteGroup",
        &[r#"{"name": "NAME"}"#],
    ),
    (
        "/umadb.v1.DCB/Append",
        &[r#"{"events": [{"eventType": "a", "tags": ["b"]}]}"#],
    ),
    ("/umadb.v1.DCB/Read", &["{}"]),
    ("/umadb.v1.DCB/Subscribe", &["{}"]),
    ("/umadb.v1.DCB/Head", &["{}"]),
    ("/umadb.v1.DCB/GetTrackingInfo", &[r#"{"source": "NAME"}"#]),
    (
        "/event_store.client.streams.Streams/Read",
        &[
            r#"{"options": {"stream": {"streamIdentifier": {"streamName": "BASE64"}, "start": {}}, "count": 1, "noFilter": {}, "uuidOption": {"string": {}}}}"#,
        ],
    ),
    (
        "/event_store.client.streams.Streams/Append",
        &[
            r#"{"options": {"streamIdentifier": {"streamName": "BASE64"}, "any": {}}}"#,
            r#"{"proposedMessage": {"id": {"string": "7f1a5f3e-6f5b-4f0e-9a3e-0f5a0c1d2e3f"}, "metadata": {"type": "a", "content-type": "application/json"}, "data": "e30="}}"#,
        ],
    ),
    (
        "/event_store.client.streams.Streams/BatchAppend",
        &[
            r#"{"correlationId": {"string": "7f1a5f3e-6f5b-4f0e-9a3e-0f5a0c1d2e30"}, "options": {"streamIdentifier": {"streamName": "BASE64"}, "any": {}}, "proposedMessages": [{"id": {"string": "7f1a5f3e-6f5b-4f0e-9a3e-0f5a0c1d2e31"}, "metadata": {"type": "a", "content-type": "application/json"}, "data": "e30="}], "isFinal": true}"#,
        ],
    ),
    (
        "/event_store.client.streams.Streams/Delete",
        &[r#"{"options": {"streamIdentifier": {"streamName": "BASE64"}, "any": {}}}"#],
    ),
    (
        "/event_store.client.streams.Streams/Tombstone",
        &[r#"{"options": {"streamIdentifier": {"streamName": "BASE64"}, "any": {}}}"#],
    ),
    (
        "/kurrentdb.protocol.v2.streams.StreamsService/AppendSession",
        &[
            r#"{"stream": "NAME", "records": [{"schema": {"format": "SCHEMA_FORMAT_JSON", "name": "a"}, "data": "e30="}]}"#,
        ],
    ),
    (
        "/kurrentdb.protocol.v2.streams.StreamsService/AppendRecords",
        &[
            r#"{"records": [{"stream": "NAME", "schema": {"format": "SCHEMA_FORMAT_JSON", "name": "a"}, "data": "e30="}]}"#,
        ],
    ),
    (
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Create",
        &[
            r#"{"options": {"stream": {"streamIdentifier": {"streamName": "BASE64"}, "start": {}}, "groupName": "NAME", "settings": {}}}"#,
        ],
    ),
    (
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Update",
        &[
            r#"{"options": {"stream": {"streamIdentifier": {"streamName": "BASE64"}, "start": {}}, "groupName": "NAME", "settings": {}}}"#,
        ],
    ),
    (
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Read",
        &[
            r#"{"options": {"streamIdentifier": {"streamName": "BASE64"}, "groupName": "NAME", "bufferSize": 1, "uuidOption": {"string": {}}}}"#,
        ],
    ),
    (
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/GetInfo",
        &[r#"{"options": {"streamIdentifier": {"streamName": "BASE64"}, "groupName": "NAME"}}"#],
    ),
    (
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/List",
        &[r#"{"options": {"listAllSubscriptions": {}}}"#],
    ),
    (
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/ReplayParked",
        &[
            r#"{"options": {"streamIdentifier": {"streamName": "BASE64"}, "groupName": "NAME", "noLimit": {}}}"#,
        ],
    ),
    (
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/TruncateParked",
        &[
            r#"{"options": {"streamIdentifier": {"streamName": "BASE64"}, "groupName": "NAME", "noLimit": {}}}"#,
        ],
    ),
    (
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Delete",
        &[r#"{"options": {"streamIdentifier": {"streamName": "BASE64"}, "groupName": "NAME"}}"#],
    ),
    (
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/RestartSubsystem",
        &["{}"],
    ),
    ("/event_store.client.gossip.Gossip/Read", &["{}"]),
    (
        "/event_store.client.server_features.ServerFeatures/GetSupportedMethods",
        &["{}"],
    ),
    ("/grpc.health.v1.Health/Check", &["{}"]),
    ("/grpc.health.v1.Health/Watch", &["{}"]),
    (
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        &[r#"{"listServices": ""}"#],
    ),
    (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        &[r#"{"listServices": ""}"#],
    ),
];

const APPEND: &str = r#"{"streams": [{"stream": "NAME", "expected": {"any": {}}}], "events": [{"eventType": "a", "data": "e30="}]}"#;

/// Returns the requests of an RPC for the object with this name; `None` if it has no line above.
pub fn requests(path: &str, name: &str) -> Option<Vec<String>> {
    let (_, requests) = REQUESTS.iter().find(|(known, _)| *known == path)?;
    let category = name.split('-').next()?;
    let filled = requests.iter().map(|request| {
        let request = request.replace("BASE64", &STANDARD.encode(name));
        request.replace("CATEGORY", category).replace("NAME", name)
    });
    Some(filled.collect())
}
