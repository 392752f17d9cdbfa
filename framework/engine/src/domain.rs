//! The types of a domain, as the framework sees them: events, aggregates, projections, and how events are encoded.

pub mod aggregate;
pub mod codec;
pub mod deadline;
pub mod decoded;
pub mod distinct;
pub mod error;
pub mod event;
pub mod event_form;
pub mod event_selection;
pub mod event_set;
pub mod events;
pub mod legacy;
pub mod projection;
pub mod record;
pub mod upcast;
