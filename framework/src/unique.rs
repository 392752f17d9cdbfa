//! Ids of events and correlations.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Uuid};

/// A UUIDv7 ([RFC 9562], 5.7): the time in milliseconds, the fraction of the millisecond in 12 bits (6.2, method 3),
/// and 62 random bits. Made to be unique and in order of time, not to be hard to guess.
///
/// [RFC 9562]: https://www.rfc-editor.org/rfc/rfc9562
pub(crate) fn uuid_v7() -> Uuid {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.unwrap_or_default();
    let millis = since.as_secs() * 1_000 + u64::from(since.subsec_millis());
    let fraction = (since.subsec_nanos() % 1_000_000) * 4_096 / 1_000_000;
    let mut behind = [0; 10];
    behind[..2].copy_from_slice(&(fraction as u16).to_be_bytes());
    behind[2..].copy_from_slice(&fastrand::u64(..).to_be_bytes());
    Builder::from_unix_timestamp_millis(millis, &behind).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_carry_the_time() {
        let before = SystemTime::now();
        let ids: Vec<Uuid> = std::iter::repeat_with(uuid_v7).take(100_000).collect();
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
}
