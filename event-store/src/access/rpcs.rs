//! The table of all RPCs and the permissions that they need.
//!
//! A server with users answers only the RPCs of this table. Add a line for each new RPC; a test compares the table with the
//! descriptors of the protocols, and another one calls each RPC as each role.

/// The permission that an RPC needs, and for which object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Everybody may call it, without credentials.
    Nothing,
    /// Every user may call it.
    User,
    /// `read` for the stream that the request names.
    ReadStream,
    /// `read`; the answer has only what the user may read.
    ReadVisible,
    /// `append` for each stream that receives events.
    Append,
    /// `append` for each stream of the result; for others, the key belongs to other content.
    AppendResult,
    /// `read` and `append` for the stream that the request names.
    ReadAndAppend,
    /// `documents` for each key of the request.
    Documents,
    /// `groups` for the consumer group of the request.
    Groups,
    /// `groups` for the consumer group of the request, and `read` for all its events.
    GroupEvents,
    /// `groups`; the answer has only the consumer groups for which the user has it.
    GroupsVisible,
    /// `admin`.
    Admin,
}

impl Need {
    /// Describes the need in the documentation.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Nothing => "nothing, not even credentials",
            Self::User => "any user",
            Self::ReadStream => "`read` for the stream",
            Self::ReadVisible => "`read`; the answer has only what the user may read",
            Self::Append => "`append` for each stream that receives events",
            Self::AppendResult => "`append` for each stream of the result",
            Self::ReadAndAppend => "`read` and `append` for the stream",
            Self::Documents => "`documents` for each key",
            Self::Groups => "`groups` for the group",
            Self::GroupEvents => "`groups` for the group, and `read` for all its events",
            Self::GroupsVisible => {
                "any user; the answer has only groups for which the user has `groups`"
            }
            Self::Admin => "`admin`",
        }
    }
}

/// An RPC and its need.
#[derive(Debug, Clone, Copy)]
pub struct Rpc {
    /// The path, for example `/package.Service/Method`.
    pub path: &'static str,
    /// The permission.
    pub need: Need,
}

const fn rpc(path: &'static str, need: Need) -> Rpc {
    Rpc { path, need }
}

/// All RPCs that a server with users answers, in the order of the documentation.
pub const RPCS: &[Rpc] = &[
    rpc("/factum.store.v1.EventStoreService/Append", Need::Append),
    rpc(
        "/factum.store.v1.EventStoreService/AppendStream",
        Need::Append,
    ),
    rpc(
        "/factum.store.v1.EventStoreService/FindAppend",
        Need::AppendResult,
    ),
    rpc("/factum.store.v1.EventStoreService/Import", Need::Admin),
    rpc(
        "/factum.store.v1.EventStoreService/ReadStream",
        Need::ReadStream,
    ),
    rpc(
        "/factum.store.v1.EventStoreService/ReadAll",
        Need::ReadVisible,
    ),
    rpc(
        "/factum.store.v1.EventStoreService/Subscribe",
        Need::ReadVisible,
    ),
    rpc("/factum.store.v1.EventStoreService/WatchHead", Need::User),
    rpc("/factum.store.v1.EventStoreService/GetHead", Need::User),
    rpc(
        "/factum.store.v1.EventStoreService/ListStreams",
        Need::ReadVisible,
    ),
    rpc(
        "/factum.store.v1.EventStoreService/ListEventTypes",
        Need::ReadVisible,
    ),
    rpc(
        "/factum.store.v1.EventStoreService/DescribeStream",
        Need::ReadStream,
    ),
    rpc(
        "/factum.store.v1.EventStoreService/GetServerInfo",
        Need::User,
    ),
    rpc(
        "/factum.store.v1.StateService/ChangeDocuments",
        Need::Documents,
    ),
    rpc(
        "/factum.store.v1.StateService/FindDocuments",
        Need::Documents,
    ),
    rpc(
        "/factum.store.v1.StateService/ScanDocuments",
        Need::Documents,
    ),
    rpc("/factum.store.v1.StateService/SaveSnapshot", Need::Append),
    rpc(
        "/factum.store.v1.StateService/LoadSnapshot",
        Need::ReadStream,
    ),
    rpc("/factum.store.v1.StateService/ClearSnapshots", Need::Admin),
    rpc(
        "/factum.store.v1.ConsumerGroupService/CreateGroup",
        Need::GroupEvents,
    ),
    rpc(
        "/factum.store.v1.ConsumerGroupService/UpdateGroup",
        Need::GroupEvents,
    ),
    rpc(
        "/factum.store.v1.ConsumerGroupService/DeleteGroup",
        Need::Groups,
    ),
    rpc(
        "/factum.store.v1.ConsumerGroupService/DescribeGroup",
        Need::Groups,
    ),
    rpc(
        "/factum.store.v1.ConsumerGroupService/ListGroups",
        Need::GroupsVisible,
    ),
    rpc(
        "/factum.store.v1.ConsumerGroupService/ResetGroup",
        Need::Groups,
    ),
    rpc(
        "/factum.store.v1.ConsumerGroupService/ResumeGroup",
        Need::Groups,
    ),
    rpc(
        "/factum.store.v1.ConsumerGroupService/Consume",
        Need::GroupEvents,
    ),
    rpc(
        "/factum.store.v1.ConsumerGroupService/ListDeadLetters",
        Need::GroupEvents,
    ),
    rpc(
        "/factum.store.v1.ConsumerGroupService/RetryDeadLetters",
        Need::Groups,
    ),
    rpc(
        "/factum.store.v1.ConsumerGroupService/DiscardDeadLetters",
        Need::Groups,
    ),
    rpc("/umadb.v1.DCB/Append", Need::Append),
    rpc("/umadb.v1.DCB/Read", Need::ReadVisible),
    rpc("/umadb.v1.DCB/Subscribe", Need::ReadVisible),
    rpc("/umadb.v1.DCB/Head", Need::User),
    rpc("/umadb.v1.DCB/GetTrackingInfo", Need::Documents),
    rpc("/event_store.client.streams.Streams/Append", Need::Append),
    rpc(
        "/event_store.client.streams.Streams/BatchAppend",
        Need::Append,
    ),
    rpc(
        "/event_store.client.streams.Streams/Delete",
        Need::ReadAndAppend,
    ),
    rpc(
        "/event_store.client.streams.Streams/Tombstone",
        Need::ReadAndAppend,
    ),
    rpc(
        "/event_store.client.streams.Streams/Read",
        Need::ReadVisible,
    ),
    rpc(
        "/kurrentdb.protocol.v2.streams.StreamsService/AppendSession",
        Need::Append,
    ),
    rpc(
        "/kurrentdb.protocol.v2.streams.StreamsService/AppendRecords",
        Need::Append,
    ),
    rpc(
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Create",
        Need::GroupEvents,
    ),
    rpc(
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Update",
        Need::GroupEvents,
    ),
    rpc(
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Delete",
        Need::Groups,
    ),
    rpc(
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/Read",
        Need::GroupEvents,
    ),
    rpc(
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/GetInfo",
        Need::Groups,
    ),
    rpc(
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/List",
        Need::GroupsVisible,
    ),
    rpc(
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/ReplayParked",
        Need::Groups,
    ),
    rpc(
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/TruncateParked",
        Need::Groups,
    ),
    rpc(
        "/event_store.client.persistent_subscriptions.PersistentSubscriptions/RestartSubsystem",
        Need::Admin,
    ),
    // Clients call these before they send credentials. The answers are the version and the address.
    rpc("/event_store.client.gossip.Gossip/Read", Need::Nothing),
    rpc(
        "/event_store.client.server_features.ServerFeatures/GetSupportedMethods",
        Need::Nothing,
    ),
    rpc("/grpc.health.v1.Health/Check", Need::Nothing),
    rpc("/grpc.health.v1.Health/Watch", Need::Nothing),
    rpc(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Need::User,
    ),
    rpc(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        Need::User,
    ),
];

/// Returns the need of an RPC; `None` if the table does not have it.
#[must_use]
pub fn need_of(path: &str) -> Option<Need> {
    let found = RPCS.iter().find(|rpc| rpc.path == path);
    found.map(|rpc| rpc.need)
}
