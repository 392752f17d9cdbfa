//! [`Command`] and [`Decide`]: intentions, and the decision that each leads to.

use serde::Serialize;

use crate::boundary::Boundary;
use crate::upcast::Upcaster;

/// An intention; names what it looks at.
///
/// Derive it, with the keys of `#[command(…)]`; write [`Decide`] by hand.
///
/// | it looks at | attribute | `#[id]` fields | the state in `decide` | the decision |
/// |---|---|---|---|---|
/// | one aggregate | `on = Account` | one, an id | `&Account` | `Events<AccountEvent>` |
/// | several | `on = (Account, Ledger)` | one for each, in order | `(&Account, &Ledger)` | `(Events<…>, Events<…>)` |
/// | a list | `on = Vec<Account>` | one, a list of ids | `Vec<&Account>` | `Vec<Events<AccountEvent>>` |
/// | and a tag query | `query = Seats` | as above, and `#[tag]` fields | `(as above, &Seats)` | as above |
///
/// A tag query takes in every event that carries *any* of the `#[tag]` fields' values, whatever stream it
/// stands in. `Seats` folds them through [`Apply`](crate::aggregate::Apply); `events = (A, B)` names their types,
/// which are those of the aggregate where nothing is said. The decision is stored only if no such event
/// has arrived meanwhile. An event always lives in a stream: a tag query widens what a decision looks at,
/// not where it writes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    label = "not a command",
    note = "write `#[derive(Command, Serialize)]` and `#[command(on = …)]` on it"
)]
pub trait Command: Serialize + Send + Sync + 'static {
    /// Its name in traces, and a part of what an idempotency key stands for.
    const NAME: &'static str;
    /// The keys of the tags that its tag query looks for.
    const TAGS: &'static [&'static str] = &[];
    /// The version of its form, where it is kept until it is executed: by a process manager, or for a deadline.
    const VERSION: u32 = 1;
    /// `UPCASTERS[n - 1]` turns a command of version n into n + 1; there are `VERSION - 1`.
    const UPCASTERS: &'static [Upcaster] = &[];
    /// What it looks at.
    type On: Boundary;

    /// Which one, or which ones.
    fn target(&self) -> <Self::On as Boundary>::Target<'_>;
}

/// The decision of a command on the state that it looks at.
///
/// Pure: no I/O, no clock, no store. What it needs from outside comes in the command, so that the same
/// command on the same state always decides the same.
#[diagnostic::on_unimplemented(
    message = "the command `{Self}` does not say what it decides",
    label = "`impl Decide for {Self}` is missing",
    note = "write `impl Decide for {Self} {{ type Error = …; fn decide(&self, state: &…) -> Result<Events<…>, Self::Error> {{ … }} }}`"
)]
pub trait Decide: Command {
    /// Why it rejects.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Returns the events to store, with the [deadlines](crate::events::Events::deadline) that go with them, or the rejection.
    ///
    /// # Errors
    /// The domain says no; nothing is stored.
    fn decide(
        &self,
        state: <Self::On as Boundary>::State<'_>,
    ) -> Result<<Self::On as Boundary>::Decision, Self::Error>;
}
