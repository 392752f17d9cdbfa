//! Access: who calls, and what the caller may do with the store.
//!
//! The [`AccessLayer`] recognizes the [`Principal`] of each request. The services of every protocol get their store from
//! [`Stores::for_request`]. It refuses what the caller may not do, so that a service needs no checks of its own. Objects
//! that the server keeps itself, such as consumer groups, are checked with [`Stores::principal`]. A service
//! keeps documents that belong to a stream under a [`stream_document`] key, and others under a key that begins with
//! [`SERVER_DOCUMENTS`]. The table [`RPCS`] has a line for each RPC.

mod authenticator;
mod commands;
mod credentials;
mod grants;
mod guard;
mod layer;
mod password;
mod permission;
mod policy;
mod prefixes;
mod principal;
mod refusals;
mod reload;
mod rpcs;
mod settings;
mod stores;
mod throttle;
mod traced_store;
mod users_file;
mod visible_log;
mod visible_streams;

pub use commands::AccessCommand;
pub use grants::{SERVER_DOCUMENTS, stream_document, stream_of_document};
pub use layer::AccessLayer;
pub use permission::Permission;
pub use principal::Principal;
pub use refusals::REFUSED_REQUESTS;
pub use reload::AccessError;
pub use rpcs::{Need, RPCS, Rpc};
pub use settings::{AccessSettings, AddressRefused};
pub use stores::Stores;
pub use users_file::UsersFileError;
pub use visible_log::{VisibleLog, VisibleRead};
