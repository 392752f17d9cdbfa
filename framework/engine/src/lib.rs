//! The execution engine of [factum](https://docs.rs/factum): aggregates, commands and decisions, and the engine that
//! loads, decides and appends.
//!
//! Applications use the crate `factum`, which re-exports this crate.
//!
//! | layer | content |
//! |---|---|
//! | [`event`], [`aggregate`], [`projection`], [`codec`], [`record`], … | the types of a domain, and how events are encoded |
//! | [`subscription`], [`causality`] | reading events |
//! | [`command`], [`boundary`] | commands, decisions and consistency boundaries |
//! | [`engine`] | the execution of commands, and the aggregate cache |
//! | [`process`] | process managers |
//!
//! Each layer depends on the layers above it in this table only.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod causality;
pub mod clock;
pub mod command;
pub mod copy;
mod domain;
pub mod engine;
#[doc(hidden)]
pub mod metrics;
pub mod personal;
pub mod process;
mod state;
pub mod subscription;

pub use domain::{
    aggregate, codec, error, event, event_form, event_set, events, legacy, projection, record,
    upcast,
};

/// The consistency boundary of a command, as a type.
pub mod boundary {
    pub use crate::command::aggregates::Aggregates;
    #[doc(hidden)]
    pub use crate::command::boundary::FindError;
    pub use crate::command::boundary::{Boundary, InvalidTarget};
    pub use crate::command::dcb_query::DcbQuery;
    pub use crate::command::found::Found;
    #[doc(hidden)]
    pub use crate::command::found::{Finder, Finds};
    pub use crate::command::queried::Queried;
    pub use crate::command::queries::{Folded, Queries};
    pub use crate::command::tag_check::UnknownTag;
    #[doc(hidden)]
    pub use crate::command::tag_check::check_tags;
    pub use crate::command::timed::Timed;
    #[doc(hidden)]
    pub use crate::state::aggregate_state::AggregateState;

    #[doc(hidden)]
    pub mod shape {
        pub use crate::command::shape::{List, Optional, Shape, Single, WithFound, WithQueries};
    }
}
