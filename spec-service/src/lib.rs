//! The Spec Service: the lifecycle of small YAML specifications, with a full audit trail.

pub mod access;
pub mod app;
pub mod audit;
pub mod bulk;
pub mod catalog;
pub mod changes;
pub mod content;
pub mod diff;
pub mod grpc;
pub mod metrics;
pub mod rest;
pub mod search;
pub mod server;
pub mod settings;
pub mod specs;
pub mod transfer;
pub mod types;
pub mod web;
pub mod webhooks;
pub mod wiring;
