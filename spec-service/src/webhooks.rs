//! Webhooks: the changes of specifications, sent to addresses of a tenant.

pub mod app;
pub mod delivery;
mod directory;
pub mod domain;
pub mod grpc;
pub mod rest;
mod subject;

pub use directory::{DeliveryRequest, WebhookDirectory, WebhookView};
