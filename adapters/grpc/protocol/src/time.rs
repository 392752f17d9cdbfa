//! Times: [`Timestamp`] in microseconds, and the message of Google.

use factum_core::timestamp::Timestamp;

use crate::invalid::InvalidMessage;

const MICROS: i64 = 1_000_000;
const NANOS_PER_MICRO: i64 = 1_000;

/// Converts a time into a message.
#[must_use]
pub fn to_message(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(MICROS),
        nanos: (micros.rem_euclid(MICROS) * NANOS_PER_MICRO) as i32,
    }
}

/// Converts a message into a time. A fraction of a microsecond is dropped.
///
/// # Errors
/// Returns [`InvalidMessage`] if the time is not representable.
pub fn from_message(
    field: &str,
    time: Option<&prost_types::Timestamp>,
) -> Result<Timestamp, InvalidMessage> {
    let time = time.ok_or_else(|| InvalidMessage::missing(field))?;
    let nanos = i64::from(time.nanos);
    let micros = (0..1_000_000_000)
        .contains(&nanos)
        .then(|| time.seconds.checked_mul(MICROS))
        .flatten()
        .and_then(|micros| micros.checked_add(nanos / NANOS_PER_MICRO));
    let out_of_range = || InvalidMessage::new(field, "the time is out of range");
    micros.map(Timestamp::from_micros).ok_or_else(out_of_range)
}
