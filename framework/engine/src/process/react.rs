//! [`React`] and [`Respond`]: the functions of a process manager.

use super::inputs::{Deadline, Rejection};
use super::process_manager::{Correlation, ProcessManager};
use super::reactions::Reactions;
use crate::aggregate::Apply;
use crate::event::Event;
use crate::record::Recorded;

/// Handles the events of one type.
///
/// Pure: no I/O, no clock, no store. The time is that of the event.
#[diagnostic::on_unimplemented(
    message = "the process manager `{Self}` does not react to `{E}`",
    label = "`impl React<{E}> for {Self}` is missing",
    note = "write `impl React<{E}> for {Self} {{ fn correlate(…) … fn react(…) … }}`"
)]
pub trait React<E: Event>: ProcessManager + Apply<E> {
    /// Returns the instance that processes `event`.
    ///
    /// The id is in the event, or it is the key of the stream: `event.record.stream.key()`. If a required id is
    /// missing, panic: the event then becomes a dead letter and can be retried. [`Correlation::Ignored`] would skip it
    /// permanently.
    fn correlate(event: &Recorded<E>) -> Correlation<Self::Id>;

    /// Adds the reactions to `event`, which [`Apply`] has already processed.
    ///
    /// Each method of `then` returns `then`, so that all arms of a `match` have one type; an arm without reactions is
    /// `_ => then`.
    fn react(&self, event: &Recorded<E>, then: &mut Reactions<Self>);
}

/// Handles rejected commands and passed deadlines.
///
/// Pure, like [`React`].
#[diagnostic::on_unimplemented(
    message = "the process manager `{Self}` does not handle rejected commands and deadlines",
    label = "`impl Respond for {Self}` is missing",
    note = "write `impl Respond for {Self} {{ fn rejected(…) … fn deadline(…) … }}`"
)]
pub trait Respond: ProcessManager {
    /// Handles the rejection of a command that this instance has sent.
    ///
    /// For example, it sends compensating commands.
    fn rejected(&mut self, rejection: &Rejection, then: &mut Reactions<Self>);

    /// Handles a deadline that has passed and was neither cancelled nor moved.
    fn deadline(&mut self, deadline: &Deadline, then: &mut Reactions<Self>);
}
