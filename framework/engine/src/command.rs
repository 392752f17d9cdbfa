//! [`Command`], [`Decide`] and [`Find`]: requests to change state, and the decisions on them.

pub(crate) mod aggregates;
pub(crate) mod boundary;
pub(crate) mod dcb_query;
mod deadline;
#[doc(hidden)]
pub mod fingerprint;
pub(crate) mod found;
mod optional;
pub(crate) mod part;
pub(crate) mod queried;
pub(crate) mod queries;
pub(crate) mod query_state;
mod sealed;
pub(crate) mod shape;
pub(crate) mod tag_check;
#[doc(hidden)]
pub mod timed;

use serde::Serialize;

use crate::command::aggregates::Aggregates;
use crate::command::boundary::Boundary;
use crate::command::fingerprint::OmittedFields;
use crate::command::found::{Finder, Finds};
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
/// | found in a state | `on = Tool, find = Member` | as for `Tool` | `(&Tool, &Member)` | `(Events<…>, Events<…>)` |
/// | with a DCB query | `query = Seats` | as above, and `#[tag]` fields | `(as above, &Seats)` | as above |
/// | with several | `query = (Course, Student)` | as above, and `#[tag(Course)]` fields | `(as above, (&Course, &Student))` | as above |
/// | with the time | `now` | as above | `(as above, Timestamp)` | as above |
///
/// `find` takes the same types as `on`. The command implements [`Find`], which returns the ids.
///
/// A DCB query finds every event that has *any* of the tags in the `#[tag]` fields, whatever its stream. `Seats` folds
/// these events through [`Apply`](crate::aggregate::Apply). `events = (A, B)` names their types; the default is the
/// events of the aggregate. `events = AccountEvent::{Opened, Closed}` names some variants: only these are read, and only
/// these conflict. `query = Balance::of` begins with the result of a function, which receives references to the `#[tag]`
/// fields. Without it, the state begins as its default. The decision is stored only if no other event that matches the query was stored since. An
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
    /// The tag keys of its DCB queries.
    const TAGS: &'static [&'static str] = &[];
    /// Whether the tag keys were compared with those of the events at compile time.
    #[doc(hidden)]
    const HAS_CHECKED_TAGS: bool = false;
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

/// Finds the aggregates of a command in the state of others: the member who holds a tool.
///
/// Name their type in `#[command(on = …, find = …)]`: `find = Member`, or an `Option` or a `Vec` of it. It must be pure,
/// like [`decide`](Decide::decide), which then receives the state of `on` and the state of the found
/// aggregates. It returns the events for both:
///
/// ```
/// use factum::prelude::*;
///
/// # #[derive(Event, Debug, PartialEq, Serialize, Deserialize)]
/// # enum ToolEvent { Lent { member: u32 }, Returned }
/// # #[derive(Event, Debug, PartialEq, Serialize, Deserialize)]
/// # enum MemberEvent { GaveBack }
/// # #[derive(Aggregate, Default, Clone)]
/// # #[aggregate(category = "tool", id = u32, event = ToolEvent)]
/// # struct Tool { holder: Option<u32> }
/// # impl Apply<ToolEvent> for Tool {
/// #     fn apply(&mut self, event: &ToolEvent) {
/// #         self.holder = match event { ToolEvent::Lent { member } => Some(*member), ToolEvent::Returned => None };
/// #     }
/// # }
/// # #[derive(Aggregate, Default, Clone)]
/// # #[aggregate(category = "member", id = u32, event = MemberEvent)]
/// # struct Member;
/// # impl Apply<MemberEvent> for Member { fn apply(&mut self, _: &MemberEvent) {} }
/// #[derive(Command, Serialize)]
/// #[command(on = Tool, find = Option<Member>)]
/// struct Return { #[id] tool: u32 }
///
/// impl Find for Return {
///     fn find(&self, tool: &Tool) -> Option<u32> { tool.holder }
/// }
///
/// impl Decide for Return {
///     type Error = std::convert::Infallible;
///     fn decide(
///         &self,
///         (_, holder): (&Tool, Option<&Member>),
///     ) -> Result<(Events<ToolEvent>, Events<MemberEvent>), Self::Error> {
///         match holder {
///             Some(_) => Ok((ToolEvent::Returned.into(), MemberEvent::GaveBack.into())),
///             None => Ok((Events::none(), Events::none())),
///         }
///     }
/// }
///
/// use factum_testkit::given;
/// given(([ToolEvent::Lent { member: 7 }], ()))
///     .when(Return { tool: 1 })
///     .then(([ToolEvent::Returned], [MemberEvent::GaveBack]));
/// given(()).when(Return { tool: 1 }).then(());
/// ```
///
/// If the state of `on` changes before the events are stored, the engine finds the aggregates and decides again.
#[diagnostic::on_unimplemented(
    message = "the command `{Self}` does not say which aggregates it finds",
    label = "`impl Find for {Self}` is missing",
    note = "write `impl Find for {Self} {{ fn find(&self, state: &…) -> … {{ … }} }}`, which returns the ids"
)]
pub trait Find: Command<On: Finds> {
    /// Returns the ids of the aggregates.
    ///
    /// The result is an id, or an `Option` or a `Vec` of ids, as `find` in the attribute. The aggregates must be distinct from each other and from those that the command names.
    fn find(
        &self,
        state: <<Self::On as Finds>::Named as Boundary>::State<'_>,
    ) -> <<Self::On as Finds>::Found as Aggregates>::Ids;
}

/// Returns the command without its type.
#[doc(hidden)]
pub fn finder<C: Find>(
    command: &C,
) -> &dyn Finder<<C::On as Finds>::Named, <C::On as Finds>::Found> {
    command
}

#[diagnostic::do_not_recommend]
impl<C, B, F> Finder<B, F> for C
where
    C: Find<On: Finds<Named = B, Found = F>>,
    B: Aggregates,
    F: Aggregates,
{
    fn find_ids(&self, state: B::State<'_>) -> F::Ids {
        self.find(state)
    }
}
