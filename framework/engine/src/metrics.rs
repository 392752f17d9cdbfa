//! What is told of commands. Keys are made at compile time, for each type of command: to tell allocates nothing.

use crate::command::Decide;
use crate::engine::{ExecuteError, Receipt};
pub use factum_core::metrics::Stopwatch;

/// Why a command is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryCause {
    /// Other writers were faster.
    Conflict,
    /// The store was not there.
    Store,
}

#[cfg(feature = "metrics")]
mod keys {
    use std::marker::PhantomData;

    use metrics::{Key, Label};

    use crate::command::Command;
    use factum_core::metrics::{COMMAND_DURATION, COMMANDS, CONFLICTS, RETRIES};

    pub const OUTCOMES: [&str; 5] = ["done", "repeated", "rejected", "conflict", "failed"];
    pub const CAUSES: [&str; 2] = ["conflict", "store"];

    pub struct Of<C>(PhantomData<C>);

    impl<C: Command> Of<C> {
        const LABELS: &'static [Label] = &[Label::from_static_parts("command", C::NAME)];
        pub const DURATION: &'static Key =
            &Key::from_static_parts(COMMAND_DURATION.name, Self::LABELS);
        pub const CONFLICTS: &'static Key = &Key::from_static_parts(CONFLICTS.name, Self::LABELS);
    }

    /// With the outcome, or the cause, of number `N`.
    pub struct With<C, const N: usize>(PhantomData<C>);

    impl<C: Command, const N: usize> With<C, N> {
        const OUTCOME_LABELS: &'static [Label] = &[
            Label::from_static_parts("command", C::NAME),
            Label::from_static_parts("outcome", OUTCOMES[N]),
        ];
        const CAUSE_LABELS: &'static [Label] = &[
            Label::from_static_parts("command", C::NAME),
            Label::from_static_parts("cause", CAUSES[N]),
        ];
        pub const OUTCOME: &'static Key =
            &Key::from_static_parts(COMMANDS.name, Self::OUTCOME_LABELS);
        pub const CAUSE: &'static Key = &Key::from_static_parts(RETRIES.name, Self::CAUSE_LABELS);
    }
}

/// A command has come to its end.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn executed<C: Decide>(answer: &Result<Receipt, ExecuteError<C::Error>>, began: Stopwatch) {
    #[cfg(feature = "metrics")]
    {
        use keys::{Of, With};
        let outcome = match answer {
            Ok(receipt) if !receipt.repeated() => With::<C, 0>::OUTCOME,
            Ok(_) => With::<C, 1>::OUTCOME,
            Err(ExecuteError::Rejected(_)) => With::<C, 2>::OUTCOME,
            Err(ExecuteError::Conflict { .. }) => With::<C, 3>::OUTCOME,
            Err(_) => With::<C, 4>::OUTCOME,
        };
        metrics::with_recorder(|recorder| {
            recorder
                .register_counter(outcome, &factum_core::metrics::RECORDER_METADATA)
                .increment(1);
            let duration = recorder
                .register_histogram(Of::<C>::DURATION, &factum_core::metrics::RECORDER_METADATA);
            duration.record(began.seconds());
        });
    }
}

/// A decision was not stored because other writers were faster.
#[inline]
pub fn lost_race<C: Decide>() {
    #[cfg(feature = "metrics")]
    metrics::with_recorder(|recorder| {
        let conflicts = recorder.register_counter(
            keys::Of::<C>::CONFLICTS,
            &factum_core::metrics::RECORDER_METADATA,
        );
        conflicts.increment(1);
    });
}

/// A command is tried once more.
#[inline]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub fn tries_again<C: Decide>(cause: RetryCause) {
    #[cfg(feature = "metrics")]
    {
        let key = match cause {
            RetryCause::Conflict => keys::With::<C, 0>::CAUSE,
            RetryCause::Store => keys::With::<C, 1>::CAUSE,
        };
        metrics::with_recorder(|recorder| {
            recorder
                .register_counter(key, &factum_core::metrics::RECORDER_METADATA)
                .increment(1);
        });
    }
}
