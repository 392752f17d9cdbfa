//! The lifecycle of specifications: draft, published, deprecated, deleted.

pub mod app;
pub mod domain;
pub mod grpc;
pub mod rest;
pub(crate) mod table;
pub(crate) mod web;
