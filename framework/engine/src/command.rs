//! [`Command`] and [`Decide`]: requests to change state, and the decisions on them.

pub(crate) mod boundary;
pub(crate) mod dcb_query;
mod deadline;
#[doc(hidden)]
pub mod fingerprint;
mod optional;
pub(crate) mod part;
pub(crate) mod queried;
pub(crate) mod queries;
pub(crate) mod query_state;
mod sealed;
pub(crate) mod shape;
#[doc(hidden)]
pub mod timed;

use serde::Serialize;

use crate::command::boundary::Boundary;
use crate::command::fingerprint::OmittedFields;
use crate::domain::upcast::Upcaster;

/// A request to change state. It names the aggregates and tags that the decision depends on.
///
/// Derive it, with the [keys of `#[command(…)]`][keys], and implement [`Decide`].
///
/// | consistency boundary | attribute | `#[id]` fields | the state in `decide` | the decision |
/// |---|---|---|---|---|
/// | one aggregate | `on = Account` | one, an id | `&Account` | `Events<AccountEvent>` |
/// | several | `on = (Account, Ledger)` | one for each, in order | `(&Account, &Ledger)` | `(Events<…>, Events<…>)` |
/// | a list | `on = Vec<Account>` | one, a list of ids | `Vec<&Account>` | `Vec<Events<AccountEvent>>` |
/// | one or none | `on = Option<Account>` | one, an `Option` of an id | `Option<&Account>` | `Events<AccountEvent>`, empty without an aggregate |
/// | with a DCB query | `query = Seats` | as above, and `#[tag]` fields | `(as above, &Seats)` | as above |
/// | with several | `query = (Course, Student)` | as above, and `#[tag(Course)]` fields | `(as above, (&Course, &Student))` | as above |
/// | with the time | `now` | as above | `(as above, Timestamp)` | as above |
///
/// A DCB query finds every event that has *any* of the tags in the `#[tag]` fields, whatever its stream. `Seats` folds
/// these events through [`Apply`](crate::aggregate::Apply). `events = (A, B)` names their types; the default is the
/// events of the aggregate. `events = AccountEvent::{Opened, Closed}` names some variants: only these are read, and only
/// these conflict. The decision is stored only if no other event that matches the query was stored since. An
/// event always belongs to a stream: a DCB query changes what a decision reads, not where it writes. The engine keeps the
/// states of queries in its cache. A command reads only the events that were stored since the last one.
///
/// [keys]: https://docs.rs/factum/latest/factum/derive.Command.html
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    label = "not a command",
    note = "write `#[derive(Command, Serialize)]` and `#[command(on = …)]` on it"
)]
pub trait Command: Serialize + Send + Sync + 'static {
    /// The name in traces and metrics, and a part of the content that an idempotency key identifies.
    const NAME: &'static str;
    /// The tag keys of its DCB query.
    const TAGS: &'static [&'static str] = &[];
    /// The schema version, used if a process manager or a deadline stores the command.
    const VERSION: u32 = 1;
    /// The upcasters: `UPCASTERS[n - 1]` converts version n to n + 1. There are `VERSION - 1`.
    const UPCASTERS: &'static [Upcaster] = &[];
    /// The consistency boundary.
    type On: Boundary;

    /// Returns the ids and tags that select the aggregates and events of the boundary.
    fn target(&self) -> <Self::On as Boundary>::Target<'_>;

    /// Returns the fields that the fingerprint of an idempotency key leaves out.
    #[doc(hidden)]
    fn omitted_from_fingerprint(&self) -> OmittedFields {
        OmittedFields::default()
    }
}

/// The decision of a command, based on the state of its consistency boundary.
///
/// It must be pure: no I/O, no clock, no store. Ids are fields of the command, so that the same command on the same state
/// always returns the same decision. The time is a field of the command, if the caller determines it. With
/// `#[command(now)]`, the decision receives the time by the clock of the engine:
///
/// ```
/// use factum::Timestamp;
/// use factum::prelude::*;
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # enum LoanEvent { Lent { until: Timestamp }, Fined }
/// # #[derive(Aggregate, Default, Clone)]
/// # #[aggregate(category = "loan", id = u32, event = LoanEvent)]
/// # struct Loan { until: Option<Timestamp> }
/// # impl Apply<LoanEvent> for Loan {
/// #     fn apply(&mut self, event: &LoanEvent) {
/// #         if let LoanEvent::Lent { until } = event { self.until = Some(*until) }
/// #     }
/// # }
/// #[derive(Command, Serialize)]
/// #[command(on = Loan, now)]
/// struct Fine { #[id] loan: u32 }
///
/// impl Decide for Fine {
///     type Error = std::convert::Infallible;
///     fn decide(&self, (loan, now): (&Loan, Timestamp)) -> Result<Events<LoanEvent>, Self::Error> {
///         match loan.until.is_some_and(|until| until < now) {
///             true => Ok(LoanEvent::Fined.into()),
///             false => Ok(Events::none()),
///         }
///     }
/// }
/// ```
///
/// A command that is repeated with the same idempotency key must not contain a new time. Use `now`, a deadline as a
/// `Duration`, or `#[fingerprint(skip)]` on the field.
#[diagnostic::on_unimplemented(
    message = "the command `{Self}` does not say what it decides",
    label = "`impl Decide for {Self}` is missing",
    note = "write `impl Decide for {Self} {{ type Error = …; fn decide(&self, state: &…) -> Result<Events<…>, Self::Error> {{ … }} }}`"
)]
pub trait Decide: Command {
    /// The reasons for a rejection.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Returns the events to store, and the [deadlines] to set and cancel.
    ///
    /// [deadlines]: crate::events::Events::deadline
    ///
    /// # Errors
    /// Returns a rejection if the rules of the domain do not allow the command. Nothing is stored then.
    fn decide(
        &self,
        state: <Self::On as Boundary>::State<'_>,
    ) -> Result<<Self::On as Boundary>::Decision, Self::Error>;
}
