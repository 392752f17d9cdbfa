//! The rules for stored JSON: it can be read back, and it is exact.

mod depth;
mod encode;
mod finite;

pub use depth::{MAX_JSON_DEPTH, is_too_deep};
pub use encode::{JsonSerializer, serialize_exactly, to_string, to_value, to_vec};
pub use finite::check_finite;
