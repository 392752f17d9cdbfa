//! The test kit of [factum](https://docs.rs/factum).
//!
//! ```
//! # use factum::prelude::*;
//! # #[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
//! # enum LampEvent { Lit }
//! # #[derive(Aggregate, Default, Clone)]
//! # #[aggregate(category = "lamp", id = u32, event = LampEvent)]
//! # struct Lamp { lit: bool }
//! # impl Apply<LampEvent> for Lamp {
//! #     fn apply(&mut self, _: &LampEvent) { self.lit = true; }
//! # }
//! # #[derive(Command, Serialize)]
//! # #[command(on = Lamp)]
//! # struct Light { #[id] lamp: u32 }
//! # #[derive(Debug, PartialEq)]
//! # struct AlreadyLit;
//! # impl std::fmt::Display for AlreadyLit {
//! #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("lit") }
//! # }
//! # impl std::error::Error for AlreadyLit {}
//! # impl Decide for Light {
//! #     type Error = AlreadyLit;
//! #     fn decide(&self, lamp: &Lamp) -> Result<Events<LampEvent>, AlreadyLit> {
//! #         if lamp.lit { Err(AlreadyLit) } else { Ok(LampEvent::Lit.into()) }
//! #     }
//! # }
//! use factum_testkit::given;
//!
//! given(()).when(Light { lamp: 1 }).then([LampEvent::Lit]);
//! given([LampEvent::Lit]).when(Light { lamp: 1 }).then_rejected(AlreadyLit);
//! ```
//!
//! | task | use |
//! |---|---|
//! | Test decisions without a store | [`given`] … `when` … `then` |
//! | Test process managers without a store | [`process`] |
//! | Test projections in memory without a store | [`projection`] |
//! | Test projections in tables with a store | `sql_projection`, with the feature `sql` |
//! | Create events as older code has stored them | [`stored`] |
//! | Let deadlines pass | [`VirtualClock`] |
//! | Let any store fail, selected by a seed | [`Faulty`] |
//! | Test a store against its guarantees | [`conformance_suite!`] |

pub mod conformance;
mod faults;
mod faulty;
mod faulty_documents;
mod given_log;
mod process;
mod projection;
mod scenario;
#[cfg(feature = "sql")]
mod sql_projection;
mod stored;
mod virtual_clock;

pub use conformance::harness::Backend;
pub use faults::Faults;
pub use faulty::Faulty;
pub use process::{ProcessScenario, process};
pub use projection::{ProjectionScenario, projection};
pub use scenario::{Given, Scenario, given};
#[cfg(feature = "sql")]
pub use sql_projection::{ExpectedRow, SqlProjectionScenario, sql_projection};
pub use stored::stored;
pub use virtual_clock::VirtualClock;
