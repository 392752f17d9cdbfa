//! [`Checks`]: the conditions of an append.

use factum::store::{Store, StreamId, Version};
use factum_compatible_protocols::kurrentdb::v2::streams::ConsistencyCheck;
use factum_compatible_protocols::kurrentdb::v2::streams::consistency_check::Type;
use factum_compatible_protocols::kurrentdb::v2::streams::errors::ConsistencyViolation;
use factum_compatible_protocols::kurrentdb::v2::streams::errors::consistency_violation::{
    StreamStateViolation, Type as ViolationType,
};

use super::super::errors::Refused;
use super::super::event::stream_named;
use super::super::expected::ExpectedState;
use super::super::metadata;
use super::super::repeated::{self, RepeatPlace};
use super::super::stream_write::{EventWrite, Written};

/// The revision of a stream that has a tombstone, in a violation.
const TOMBSTONE: i64 = i64::MAX;

/// The state of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckedState {
    /// The stream does not exist, or it is deleted.
    Missing,
    /// The revision of the last event.
    At(u64),
    /// The stream has a tombstone.
    Tombstone,
}

/// Returns the expected state that a number names.
///
/// # Errors
/// Returns [`Refused::Invalid`] if the number names no state.
pub fn expected_state(number: i64) -> Result<ExpectedState, Refused> {
    ExpectedState::of_number(number).ok_or_else(|| {
        let rule = "expected a revision, -1 for no stream, -2 for any, or -4 for exists";
        Refused::Invalid(format!("invalid expected revision: {number}; {rule}"))
    })
}

/// The conditions of an append.
pub struct Checks(Vec<(StreamId, ExpectedState)>);

impl Checks {
    /// Converts the conditions of a request.
    ///
    /// # Errors
    /// Returns [`Refused::Invalid`] if a condition is not valid.
    pub fn new(checks: Vec<ConsistencyCheck>) -> Result<Self, Refused> {
        let checks = checks.into_iter().map(|check| match check.r#type {
            Some(Type::StreamState(check)) => {
                let expected = expected_state(check.expected_state)?;
                Ok((stream_named(&check.stream)?, expected))
            }
            None => Err(Refused::Invalid("missing type of a check".to_owned())),
        });
        Ok(Self(checks.collect::<Result<_, _>>()?))
    }

    /// Returns whether there are no conditions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the state that a stream must have: the most precise one if there are several conditions.
    #[must_use]
    pub fn expected(&self, stream: &StreamId) -> ExpectedState {
        let of_stream = self.0.iter().filter(|(checked, _)| checked == stream);
        let precision = |expected: &ExpectedState| match expected {
            ExpectedState::Any => 0,
            ExpectedState::Exists => 1,
            ExpectedState::NoStream | ExpectedState::Revision(_) => 2,
        };
        let expected = of_stream
            .map(|(_, expected)| *expected)
            .max_by_key(precision);
        expected.unwrap_or(ExpectedState::Any)
    }

    /// Returns the states of the streams, in the order of the conditions.
    ///
    /// # Errors
    /// Returns the error of the store.
    pub async fn states(&self, store: &dyn Store) -> Result<Vec<CheckedState>, Refused> {
        let names = self.0.iter().map(|(stream, _)| stream.as_str());
        let names: std::collections::BTreeSet<&str> = names.collect();
        let settings = metadata::load(store, names).await?;
        let mut states = Vec::with_capacity(self.0.len());
        for (stream, _) in &self.0 {
            let settings = settings
                .get(stream.as_str())
                .cloned()
                .unwrap_or_default()
                .settings;
            let version = metadata::version(store, stream).await?;
            states.push(match version {
                _ if settings.has_tombstone => CheckedState::Tombstone,
                Version::ZERO => CheckedState::Missing,
                version if settings.is_deleted(version) => CheckedState::Missing,
                version => CheckedState::At(version.get() - 1),
            });
        }
        Ok(states)
    }

    /// Returns the conditions that do not hold.
    #[must_use]
    pub fn violations(&self, states: &[CheckedState]) -> Vec<ConsistencyViolation> {
        let checks = self.0.iter().zip(states).enumerate();
        let failed = checks.filter(|(_, ((_, expected), state))| !holds(*expected, **state));
        let violations = failed.map(
            |(index, ((stream, expected), state))| ConsistencyViolation {
                check_index: index as i32,
                r#type: Some(ViolationType::StreamState(StreamStateViolation {
                    stream: stream.to_string(),
                    expected_state: expected.number(),
                    actual_state: match state {
                        CheckedState::Missing => -1,
                        CheckedState::At(revision) => *revision as i64,
                        CheckedState::Tombstone => TOMBSTONE,
                    },
                })),
            },
        );
        violations.collect()
    }

    /// Adds the streams that are checked only to a write.
    #[must_use]
    pub fn and_other_streams(&self, mut write: EventWrite, states: &[CheckedState]) -> EventWrite {
        for ((stream, _), state) in self.0.iter().zip(states) {
            // A tombstone is final.
            if *state != CheckedState::Tombstone && write.index_of(stream).is_none() {
                write.add_stream(stream.clone(), self.expected(stream));
            }
        }
        write
    }

    /// Returns the results of the first write if its records are stored already.
    ///
    /// # Errors
    /// Returns the error of the store.
    pub async fn repeated(
        &self,
        store: &dyn Store,
        records: &EventWrite,
    ) -> Result<Option<Vec<Written>>, Refused> {
        let place = RepeatPlace::of_expected(records);
        Ok(repeated::find(store, records, place).await?)
    }
}

fn holds(expected: ExpectedState, state: CheckedState) -> bool {
    match expected {
        ExpectedState::Any => true,
        ExpectedState::NoStream => !matches!(state, CheckedState::At(_)),
        ExpectedState::Exists => matches!(state, CheckedState::At(_)),
        ExpectedState::Revision(revision) => state == CheckedState::At(revision),
    }
}
