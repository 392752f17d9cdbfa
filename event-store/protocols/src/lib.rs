//! The gRPC protocols of other event stores that the Factum event store speaks.
//!
//! The contracts in `proto/` state the names and numbers of the protocols in our own words. Published clients of KurrentDB
//! and UmaDB send and expect these messages.

/// KurrentDB's protocol: the generated messages, clients and servers.
#[rustfmt::skip]
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod kurrentdb {
    /// The first version: messages that its services share.
    pub mod client {
        include!("generated/event_store.client.generated.rs");

        /// Reads, appends and deletions.
        pub mod streams {
            include!("generated/event_store.client.streams.generated.rs");
        }

        /// Groups of consumers.
        pub mod persistent_subscriptions {
            include!("generated/event_store.client.persistent_subscriptions.generated.rs");
        }

        /// The members of a cluster.
        pub mod gossip {
            include!("generated/event_store.client.gossip.generated.rs");
        }

        /// The methods of a server.
        pub mod server_features {
            include!("generated/event_store.client.server_features.generated.rs");
        }
    }

    /// The errors that all services of the second version share.
    pub mod rpc {
        include!("generated/kurrent.rpc.generated.rs");
    }

    /// The second version.
    pub mod v2 {
        /// Appends to several streams.
        pub mod streams {
            include!("generated/kurrentdb.protocol.v2.streams.generated.rs");

            /// The details of errors.
            pub mod errors {
                include!("generated/kurrentdb.protocol.v2.streams.errors.generated.rs");
            }
        }
    }

    /// The encoded `FileDescriptorSet` of the protocol, for server reflection.
    pub const DESCRIPTOR: &[u8] = include_bytes!("../proto/kurrentdb.bin");
}

/// UmaDB's protocol: the generated messages, client and server.
#[rustfmt::skip]
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod umadb {
    include!("generated/umadb.v1.generated.rs");

    /// The encoded `FileDescriptorSet` of the protocol, for server reflection.
    pub const DESCRIPTOR: &[u8] = include_bytes!("../proto/umadb.bin");
}
