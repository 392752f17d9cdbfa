//! Ids of events and correlations.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

use crate::random::random_bits;

/// Ids that are made together: UUIDv7 ([RFC 9562], 5.7) of one moment, each one more than the one before (6.2, method 2).
/// The time in milliseconds, the fraction of the millisecond in 12 bits (method 3), and 61 random bits to count on from.
/// Made to be unique and in order of time, not to be hard to guess.
///
/// [RFC 9562]: https://www.rfc-editor.org/rfc/rfc9562
#[derive(Debug)]
pub struct Ids(u128);

impl Ids {
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.unwrap_or_default();
        let millis = since.as_secs() * 1_000 + u64::from(since.subsec_millis());
        let fraction = (since.subsec_nanos() % 1_000_000) * 4_096 / 1_000_000;
        let mut behind = [0; 10];
        behind[..2].copy_from_slice(&(fraction as u16).to_be_bytes());
        // A bit less than there are: room to count.
        behind[2..].copy_from_slice(&(random_bits() & !(1 << 61)).to_be_bytes());
        let first = Builder::from_unix_timestamp_millis(millis, &behind).into_uuid();
        Self(first.as_u128())
    }

    pub fn next(&mut self) -> Uuid {
        let id = Uuid::from_u128(self.0);
        self.0 += 1;
        id
    }
}

/// A UUIDv7 of this moment.
pub fn new_event_id() -> Uuid {
    Ids::now().next()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_carry_the_time() {
        let before = SystemTime::now();
        let ids: Vec<Uuid> = std::iter::repeat_with(new_event_id).take(100_000).collect();
        let after = SystemTime::now();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        // Microseconds, which are what 12 bits of a millisecond can tell.
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
    fn ids_made_together_are_in_order() {
        let mut ids = Ids::now();
        let ids: Vec<Uuid> = std::iter::repeat_with(|| ids.next()).take(10_000).collect();
        assert!(ids.is_sorted_by(|id, next| id < next));
        let is_v7 =
            |id: &Uuid| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122;
        assert!(ids.iter().all(is_v7));
    }
}
