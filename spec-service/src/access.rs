//! Identity and access: callers, tenants and namespaces.

pub mod domain;
mod refusal;
