//! Ids of events and correlations: UUIDv7.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

use crate::random::random_bits;

/// A generator of UUIDv7 ids ([RFC 9562], 5.7) that share one time.
///
/// An id contains the time in milliseconds, the fraction of the millisecond in 12 bits (6.2, method 3), and a random
/// number. Each id is one more than the previous id (6.2, method 2). Ids are unique and ordered by time. They are not
/// hard to guess.
///
/// [RFC 9562]: https://www.rfc-editor.org/rfc/rfc9562
#[derive(Debug)]
pub struct EventIdGenerator(u128);

impl EventIdGenerator {
    /// Creates a generator for the current time.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.unwrap_or_default();
        let millis = since.as_secs() * 1_000 + u64::from(since.subsec_millis());
        let fraction = (since.subsec_nanos() % 1_000_000) * 4_096 / 1_000_000;
        let mut tail = [0; 10];
        tail[..2].copy_from_slice(&(fraction as u16).to_be_bytes());
        // The highest random bit is 0, so that counting does not overflow into the fraction.
        tail[2..].copy_from_slice(&(random_bits() & !(1 << 61)).to_be_bytes());
        let first = Builder::from_unix_timestamp_millis(millis, &tail).into_uuid();
        Self(first.as_u128())
    }

    /// Returns the next id.
    pub fn next_id(&mut self) -> Uuid {
        let id = Uuid::from_u128(self.0);
        self.0 += 1;
        id
    }
}

/// Returns a UUIDv7 of the current time.
#[must_use]
pub fn new_event_id() -> Uuid {
    EventIdGenerator::now().next_id()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_contain_the_time() {
        let before = SystemTime::now();
        let ids: Vec<Uuid> = std::iter::repeat_with(new_event_id).take(100_000).collect();
        let after = SystemTime::now();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        // 12 bits of a millisecond resolve microseconds.
        let micros = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
        let (from, to) = (micros(before), micros(after));
        for id in ids {
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            let bits = id.as_u128();
            let fraction = (bits >> 64 & 0xfff) as u64 * 1_000 / 4_096;
            let time = (bits >> 80) as u64 * 1_000 + fraction;
            assert!(
                (from - 1..=to).contains(&time),
                "{id} of {time}, from {from} to {to}"
            );
        }
    }

    #[test]
    fn generated_ids_are_in_order() {
        let mut ids = EventIdGenerator::now();
        let ids: Vec<Uuid> = std::iter::repeat_with(|| ids.next_id())
            .take(10_000)
            .collect();
        assert!(ids.is_sorted_by(|id, next| id < next));
        let is_v7 =
            |id: &Uuid| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122;
        assert!(ids.iter().all(is_v7));
    }
}
