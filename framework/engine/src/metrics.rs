//! The metrics of commands.
//!
//! The keys are constants for each type of command, so recording allocates nothing. Without the feature `metrics`, the
//! functions do nothing.

use crate::command::Command;

pub use factum_core::metrics::Stopwatch;

/// The outcome of a command, as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeLabel {
    /// The command was executed.
    Done,
    /// The first result of the same idempotency key was returned.
    Repeated,
    /// The domain rejected the command.
    Rejected,
    /// The command conflicted with other writers.
    Conflict,
    /// The request is not valid: an id, a tag, the idempotency key or the size.
    Invalid,
    /// Any other error.
    Failed,
}

impl OutcomeLabel {
    /// Returns the value of the label, which spans record as well.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Repeated => "repeated",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
        }
    }
}

/// The cause of a retry, as a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryCause {
    /// The append conflicted with another writer.
    Conflict,
    /// The store was unavailable.
    Store,
}

#[cfg(feature = "metrics")]
mod keys {
    use std::marker::PhantomData;

    use factum_core::metrics::{COMMAND_DURATION, COMMANDS, CONFLICTS, RETRIES};
    use metrics::{Key, Label};

    use crate::command::Command;
    use crate::metrics::{OutcomeLabel, RetryCause};

    const OUTCOMES: [&str; 6] = [
        OutcomeLabel::Done.as_str(),
        OutcomeLabel::Repeated.as_str(),
        OutcomeLabel::Rejected.as_str(),
        OutcomeLabel::Conflict.as_str(),
        OutcomeLabel::Invalid.as_str(),
        OutcomeLabel::Failed.as_str(),
    ];
    const CAUSES: [&str; 2] = ["conflict", "store"];

    /// The metric keys of the command `C`.
    pub struct CommandKeys<C>(PhantomData<C>);

    impl<C: Command> CommandKeys<C> {
        const LABELS: &'static [Label] = &[Label::from_static_parts("command", C::NAME)];
        pub const DURATION: &'static Key =
            &Key::from_static_parts(COMMAND_DURATION.name, Self::LABELS);
        pub const CONFLICTS: &'static Key = &Key::from_static_parts(CONFLICTS.name, Self::LABELS);

        pub fn outcome(outcome: OutcomeLabel) -> &'static Key {
            match outcome {
                OutcomeLabel::Done => LabelledKeys::<C, 0>::OUTCOME,
                OutcomeLabel::Repeated => LabelledKeys::<C, 1>::OUTCOME,
                OutcomeLabel::Rejected => LabelledKeys::<C, 2>::OUTCOME,
                OutcomeLabel::Conflict => LabelledKeys::<C, 3>::OUTCOME,
                OutcomeLabel::Invalid => LabelledKeys::<C, 4>::OUTCOME,
                OutcomeLabel::Failed => LabelledKeys::<C, 5>::OUTCOME,
            }
        }

        pub fn retry(cause: RetryCause) -> &'static Key {
            match cause {
                RetryCause::Conflict => LabelledKeys::<C, 0>::RETRY,
                RetryCause::Store => LabelledKeys::<C, 1>::RETRY,
            }
        }
    }

    /// The metric keys of the command `C` with label number `N`.
    struct LabelledKeys<C, const N: usize>(PhantomData<C>);

    impl<C: Command, const N: usize> LabelledKeys<C, N> {
        const OUTCOME_LABELS: &'static [Label] = &[
            Label::from_static_parts("command", C::NAME),
            Label::from_static_parts("outcome", OUTCOMES[N]),
        ];
        const RETRY_LABELS: &'static [Label] = &[
            Label::from_static_parts("command", C::NAME),
            Label::from_static_parts("cause", CAUSES[N]),
        ];
        const OUTCOME: &'static Key = &Key::from_static_parts(COMMANDS.name, Self::OUTCOME_LABELS);
        const RETRY: &'static Key = &Key::from_static_parts(RETRIES.name, Self::RETRY_LABELS);
    }
}

/// Records the outcome and the duration of a command.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn record_command<C: Command>(outcome: OutcomeLabel, started: Stopwatch) {
    #[cfg(feature = "metrics")]
    metrics::with_recorder(|recorder| {
        use factum_core::metrics::RECORDER_METADATA;
        recorder
            .register_counter(keys::CommandKeys::<C>::outcome(outcome), &RECORDER_METADATA)
            .increment(1);
        let duration =
            recorder.register_histogram(keys::CommandKeys::<C>::DURATION, &RECORDER_METADATA);
        duration.record(started.seconds());
    });
}

/// Records that an append of a command conflicted with another writer.
#[inline]
pub fn record_conflict<C: Command>() {
    #[cfg(feature = "metrics")]
    metrics::with_recorder(|recorder| {
        use factum_core::metrics::RECORDER_METADATA;
        recorder
            .register_counter(keys::CommandKeys::<C>::CONFLICTS, &RECORDER_METADATA)
            .increment(1);
    });
}

/// Records that a command is retried.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn record_retry<C: Command>(cause: RetryCause) {
    #[cfg(feature = "metrics")]
    metrics::with_recorder(|recorder| {
        use factum_core::metrics::RECORDER_METADATA;
        recorder
            .register_counter(keys::CommandKeys::<C>::retry(cause), &RECORDER_METADATA)
            .increment(1);
    });
}
