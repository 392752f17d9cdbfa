//! Commands that find their streams in the state of others: the member who holds a tool.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/gate.rs"]
mod gate;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use factum::engine::{Execute, RetryPolicy};
use factum::prelude::*;
use factum::store::{EventStore as _, Query, Read, StoreError};
use factum::{Position, Timestamp, Version};
use factum_memory::MemoryStore;
use factum_testkit::{Faults, Faulty, VirtualClock, given};
use gate::Gate;
use tokio::task::JoinHandle;

const DAY: Duration = Duration::from_hours(24);

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "tool")]
enum ToolEvent {
    Lent {
        #[tag]
        member: String,
    },
    Returned,
}

/// A tool, and the member who holds it.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "tool", id = u32, event = ToolEvent)]
struct Tool {
    holder: Option<String>,
}

impl Apply<ToolEvent> for Tool {
    fn apply(&mut self, event: &ToolEvent) {
        self.holder = match event {
            ToolEvent::Lent { member } => Some(member.clone()),
            ToolEvent::Returned => None,
        };
    }
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "member")]
enum MemberEvent {
    Borrowed { tool: u32 },
    GaveBack { tool: u32 },
}

/// A member. The category is before `tool`, so the permit of a member is acquired first.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "member", id = String, event = MemberEvent)]
struct Member {
    borrowed: u32,
    returned: u32,
}

impl Apply<MemberEvent> for Member {
    fn apply(&mut self, event: &MemberEvent) {
        match event {
            MemberEvent::Borrowed { .. } => self.borrowed += 1,
            MemberEvent::GaveBack { .. } => self.returned += 1,
        }
    }
}

/// The number of loans of a member.
#[derive(Debug, Default)]
struct Loans(u32);

impl Apply<ToolEvent> for Loans {
    fn apply(&mut self, _: &ToolEvent) {
        self.0 += 1;
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum Refused {
    #[error("the tool is lent")]
    Lent,
    #[error("the tool is not lent")]
    NotLent,
    #[error("the states are of different times")]
    Inconsistent,
}

type Lending = (Events<ToolEvent>, Events<MemberEvent>);

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = (Tool, Member))]
struct Lend {
    #[id]
    tool: u32,
    #[id]
    member: String,
}

impl Decide for Lend {
    type Error = Refused;
    fn decide(&self, (tool, _): (&Tool, &Member)) -> Result<Lending, Refused> {
        if tool.holder.is_some() {
            return Err(Refused::Lent);
        }
        let (member, tool) = (self.member.clone(), self.tool);
        Ok((
            ToolEvent::Lent { member }.into(),
            MemberEvent::Borrowed { tool }.into(),
        ))
    }
}

/// Returns a tool. Does not know the member.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Tool, find = Option<Member>)]
struct Return {
    #[id]
    tool: u32,
}

impl Find for Return {
    fn find(&self, tool: &Tool) -> Option<String> {
        tool.holder.clone()
    }
}

impl Decide for Return {
    type Error = Refused;
    fn decide(&self, (tool, holder): (&Tool, Option<&Member>)) -> Result<Lending, Refused> {
        assert_eq!(tool.holder.is_some(), holder.is_some());
        let Some(holder) = holder else {
            return Err(Refused::NotLent);
        };
        if holder.borrowed <= holder.returned {
            return Err(Refused::Inconsistent);
        }
        let tool = self.tool;
        Ok((
            ToolEvent::Returned.into(),
            MemberEvent::GaveBack { tool }.into(),
        ))
    }
}

/// Passes a tool on to a member, who must not be the holder.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = (Tool, Member), find = Member, query = Loans, events = ToolEvent, now)]
struct PassOn {
    #[id]
    tool: u32,
    #[id]
    #[tag]
    member: String,
}

impl Find for PassOn {
    fn find(&self, (tool, _): (&Tool, &Member)) -> String {
        tool.holder.clone().unwrap_or_default()
    }
}

impl Decide for PassOn {
    type Error = Refused;
    fn decide(
        &self,
        ((((_, member), holder), loans), now): ((((&Tool, &Member), &Member), &Loans), Timestamp),
    ) -> Result<(Lending, Events<MemberEvent>), Refused> {
        assert!(now > Timestamp::from_micros(0));
        if holder.borrowed <= holder.returned || loans.0 != member.borrowed {
            return Err(Refused::Inconsistent);
        }
        let (to, tool) = (self.member.clone(), self.tool);
        Ok((
            (
                ToolEvent::Lent { member: to }.into(),
                MemberEvent::Borrowed { tool }.into(),
            ),
            MemberEvent::GaveBack { tool }.into(),
        ))
    }
}

/// Makes each holder of the tools give one back, without a change of the tools.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Vec<Tool>, find = Vec<Member>)]
struct Remind(#[id] Vec<u32>);

impl Find for Remind {
    fn find(&self, tools: Vec<&Tool>) -> Vec<String> {
        tools
            .iter()
            .filter_map(|tool| tool.holder.clone())
            .collect()
    }
}

impl Decide for Remind {
    type Error = Refused;
    fn decide(
        &self,
        (tools, holders): (Vec<&Tool>, Vec<&Member>),
    ) -> Result<(Vec<Events<ToolEvent>>, Vec<Events<MemberEvent>>), Refused> {
        let reminded = holders.iter().map(|holder| MemberEvent::GaveBack {
            tool: holder.borrowed,
        });
        Ok((
            tools.iter().map(|_| Events::none()).collect(),
            reminded.map(Events::from).collect(),
        ))
    }
}

fn lend(tool: u32, member: &str) -> Lend {
    Lend {
        tool,
        member: member.to_owned(),
    }
}

fn pass_on(tool: u32, member: &str) -> PassOn {
    PassOn {
        tool,
        member: member.to_owned(),
    }
}

async fn member(engine: &Engine, member: &str) -> (u32, u32) {
    let member = engine.load::<Member>(&member.to_owned()).await.unwrap();
    (member.borrowed, member.returned)
}

/// Returns an engine on `store` with this cache capacity.
fn engine(store: &MemoryStore, capacity: usize) -> Engine {
    Engine::builder(store.clone())
        .cache_capacity(capacity)
        .build()
}

#[tokio::test]
async fn command_stores_events_of_the_found_aggregate() {
    for capacity in [0, 100] {
        let engine = engine(&MemoryStore::new(), capacity);
        engine.execute(lend(1, "ada")).await.unwrap();
        let receipt = engine.execute(Return { tool: 1 }).await.unwrap();
        let streams: Vec<_> = receipt
            .events()
            .iter()
            .map(|e| e.stream.to_string())
            .collect();
        assert_eq!(streams, ["tool-1", "member-ada"]);
        let versions: Vec<_> = receipt.versions().iter().map(|(_, v)| v.get()).collect();
        assert_eq!((versions, receipt.version()), (vec![2, 2], Version::new(2)));
        assert_eq!(member(&engine, "ada").await, (1, 1));

        // From the cache now, with another member.
        engine.execute(lend(1, "bob")).await.unwrap();
        let again = engine.execute(Return { tool: 1 }).await.unwrap();
        assert_eq!(again.attempts(), 1);
        assert_eq!(member(&engine, "bob").await, (1, 1));
        assert_eq!(member(&engine, "ada").await, (1, 1));
    }
}

#[tokio::test]
async fn command_that_finds_nothing_is_decided() {
    let engine = Engine::new(MemoryStore::new());
    let error = engine.execute(Return { tool: 1 }).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Rejected(Refused::NotLent)));
}

#[tokio::test]
async fn command_finds_a_list_in_a_list() {
    let engine = Engine::new(MemoryStore::new());
    for (tool, member) in [(1, "ada"), (3, "bob")] {
        engine.execute(lend(tool, member)).await.unwrap();
    }
    let receipt = engine.execute(Remind(vec![3, 2, 1])).await.unwrap();
    let streams: Vec<_> = receipt
        .events()
        .iter()
        .map(|e| e.stream.to_string())
        .collect();
    assert_eq!(streams, ["member-bob", "member-ada"]);
    assert_eq!(receipt.versions().len(), 5);
    // The same members in another order.
    let receipt = engine.execute(Remind(vec![1, 3])).await.unwrap();
    let streams: Vec<_> = receipt
        .events()
        .iter()
        .map(|e| e.stream.to_string())
        .collect();
    assert_eq!(streams, ["member-ada", "member-bob"]);
}

#[tokio::test]
async fn command_finds_with_a_query_and_the_time() {
    let engine = Engine::new(MemoryStore::new());
    engine.execute(lend(1, "ada")).await.unwrap();
    engine.execute(pass_on(1, "bob")).await.unwrap();
    engine.execute(pass_on(1, "ada")).await.unwrap();
    assert_eq!(member(&engine, "ada").await, (2, 1));
    assert_eq!(member(&engine, "bob").await, (1, 1));
}

#[tokio::test]
async fn found_stream_that_is_named_is_an_error_of_current_state() {
    let store = MemoryStore::new();
    let (stale, other) = (engine(&store, 100), engine(&store, 100));
    stale.execute(lend(1, "ada")).await.unwrap();
    let error = stale.execute(pass_on(1, "ada")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the command uses member-ada twice; each stream of a command must be distinct"
    );
    // The cache of `stale` still has Ada as the holder.
    other.execute(pass_on(1, "bob")).await.unwrap();
    stale.execute(pass_on(1, "ada")).await.unwrap();
    assert_eq!(member(&other, "bob").await, (1, 1));
    // `stale` has Ada, and nobody holds it.
    other.execute(Return { tool: 1 }).await.unwrap();
    let error = stale.execute(pass_on(1, "ada")).await.unwrap_err();
    assert!(matches!(error, ExecuteError::InvalidTarget(_)), "{error}");
}

#[tokio::test]
async fn expected_version_is_checked_before_the_found_stream() {
    let store = MemoryStore::new();
    let (stale, other) = (engine(&store, 100), engine(&store, 100));
    stale.execute(lend(1, "ada")).await.unwrap();
    other.execute(pass_on(1, "bob")).await.unwrap();
    for version in [1, 3] {
        let error = stale
            .execute(pass_on(1, "bob"))
            .expected_version(version)
            .await;
        assert!(
            matches!(error, Err(ExecuteError::Conflict { .. })),
            "{error:?}"
        );
        let error = stale
            .execute(Return { tool: 1 })
            .expected_version(version)
            .await;
        assert!(
            matches!(error, Err(ExecuteError::Conflict { .. })),
            "{error:?}"
        );
    }
    stale
        .execute(Return { tool: 1 })
        .expected_version(2)
        .await
        .unwrap();
    assert_eq!(member(&other, "bob").await, (1, 1));
}

#[tokio::test]
async fn stale_cache_finds_again_after_the_conflict() {
    let store = MemoryStore::new();
    let (stale, other) = (engine(&store, 100), engine(&store, 100));
    stale.execute(lend(1, "ada")).await.unwrap();
    other.execute(pass_on(1, "bob")).await.unwrap();
    let receipt = stale.execute(Return { tool: 1 }).await.unwrap();
    assert_eq!(receipt.attempts(), 2);
    assert_eq!(member(&other, "ada").await, (1, 1));
    assert_eq!(member(&other, "bob").await, (1, 1));

    // A rejection is confirmed, too.
    other.execute(lend(1, "eve")).await.unwrap();
    stale.execute(Return { tool: 1 }).await.unwrap();
    assert_eq!(member(&other, "eve").await, (1, 1));
}

/// Counts the members who hold a tool, without events of the tool or of the members whom it finds.
#[derive(Command, Debug, Clone, Serialize)]
#[command(on = (Member, Tool), find = Option<Member>)]
struct Note {
    #[id]
    clerk: String,
    #[id]
    tool: u32,
    #[serde(skip)]
    decided: Arc<AtomicU32>,
}

impl Find for Note {
    fn find(&self, (_, tool): (&Member, &Tool)) -> Option<String> {
        tool.holder.clone()
    }
}

impl Decide for Note {
    type Error = Refused;
    fn decide(
        &self,
        (_, holder): ((&Member, &Tool), Option<&Member>),
    ) -> Result<
        (
            (Events<MemberEvent>, Events<ToolEvent>),
            Events<MemberEvent>,
        ),
        Refused,
    > {
        self.decided.fetch_add(1, SeqCst);
        let tool = holder.map_or(0, |holder| holder.borrowed);
        let noted = MemberEvent::Borrowed { tool };
        Ok(((noted.into(), Events::none()), Events::none()))
    }
}

#[tokio::test]
async fn streams_without_events_are_expected_unchanged() {
    let store = MemoryStore::new();
    let (stale, other) = (engine(&store, 100), engine(&store, 100));
    let decided = Arc::new(AtomicU32::new(0));
    let note = || Note {
        clerk: "clerk".to_owned(),
        tool: 1,
        decided: decided.clone(),
    };
    stale.execute(lend(1, "ada")).await.unwrap();
    stale.execute(note()).await.unwrap();
    for holder in ["ada", "bob"] {
        // A change of the member who holds the tool, then of the tool.
        match holder {
            "ada" => other.execute(lend(2, "ada")).await.unwrap(),
            _ => other.execute(pass_on(1, holder)).await.unwrap(),
        };
        decided.store(0, SeqCst);
        let receipt = stale.execute(note()).await.unwrap();
        assert_eq!((decided.load(SeqCst), receipt.attempts()), (2, 2));
        let noted: MemberEvent = receipt.events()[0].decode().unwrap();
        let MemberEvent::Borrowed { tool } = noted else {
            panic!("{noted:?}")
        };
        assert_eq!(tool, member(&other, holder).await.0);
    }
}

#[tokio::test]
async fn idempotency_key_repeats_the_first_result() {
    let engine = Engine::new(MemoryStore::new());
    engine.execute(lend(1, "ada")).await.unwrap();
    let return_once = || engine.execute(Return { tool: 1 }).idempotency_key("k");
    let first = return_once().await.unwrap();
    engine.execute(lend(1, "bob")).await.unwrap();
    let again = return_once().await.unwrap();
    assert!(again.repeated());
    assert_eq!(again.events(), first.events());
    assert_eq!(again.versions(), first.versions());
    assert_eq!(member(&engine, "bob").await, (1, 0));
    // Also if the command would be rejected, or finds a stream that it cannot use.
    engine.execute(Return { tool: 1 }).await.unwrap();
    assert!(return_once().await.unwrap().repeated());
}

#[test]
fn scenario_finds_the_aggregate() {
    let lent = ToolEvent::Lent {
        member: "ada".to_owned(),
    };
    let borrowed = MemberEvent::Borrowed { tool: 1 };
    given(([lent.clone()], [borrowed.clone()]))
        .when(Return { tool: 1 })
        .then(([ToolEvent::Returned], [MemberEvent::GaveBack { tool: 1 }]));
    given(())
        .when(Return { tool: 1 })
        .then_rejected(Refused::NotLent);
    given((vec![vec![lent.clone()], vec![]], vec![[borrowed.clone()]]))
        .when(Remind(vec![1, 2]))
        .then((vec![(), ()], vec![[MemberEvent::GaveBack { tool: 1 }]]));
    // The query finds no tool of Bob.
    let passed = ToolEvent::Lent {
        member: "bob".to_owned(),
    };
    given(((([lent], ()), [borrowed]), ()))
        .when(pass_on(1, "bob"))
        .then((
            ([passed], [MemberEvent::Borrowed { tool: 1 }]),
            [MemberEvent::GaveBack { tool: 1 }],
        ));
}

#[test]
#[should_panic(
    expected = "`given` has 1 events of an aggregate of member, but the command has none"
)]
fn scenario_with_events_of_nobody_fails() {
    let _ = given(((), [MemberEvent::Borrowed { tool: 1 }])).when(Return { tool: 1 });
}

#[test]
#[should_panic(expected = "PassOn: the command uses member-ada twice")]
fn scenario_that_finds_a_named_stream_fails() {
    let member = "ada".to_owned();
    let _ = given(((([ToolEvent::Lent { member }], ()), ()), ())).when(pass_on(1, "ada"));
}

/// A finder that is not pure.
#[derive(Command, Debug, Clone, Serialize)]
#[command(on = Tool, find = Member)]
struct Impure {
    #[id]
    tool: u32,
    #[serde(skip)]
    calls: Arc<AtomicU32>,
}

impl Find for Impure {
    fn find(&self, _: &Tool) -> String {
        self.calls.fetch_add(1, SeqCst).to_string()
    }
}

impl Decide for Impure {
    type Error = Refused;
    fn decide(&self, _: (&Tool, &Member)) -> Result<Lending, Refused> {
        Ok((Events::none(), Events::none()))
    }
}

#[test]
#[should_panic(
    expected = "`find` of Impure returned other ids for the same events; it must be pure"
)]
fn scenario_with_an_impure_finder_fails() {
    let calls = Arc::default();
    let _ = given(()).when(Impure { tool: 1, calls });
}

#[tokio::test]
async fn impure_finder_ends() {
    let engine = Engine::new(MemoryStore::new());
    let calls = Arc::<AtomicU32>::default();
    let impure = || Impure {
        tool: 1,
        calls: calls.clone(),
    };
    engine.execute(impure()).await.unwrap();
    engine.execute(impure()).idempotency_key("k").await.unwrap();
    assert!(calls.load(SeqCst) < 10);
}

/// Checks that each loan is counted on exactly the member who held the tool, in one append.
async fn assert_loans_match_holders(store: &MemoryStore) -> usize {
    let mut records = Vec::new();
    loop {
        let after = Position::new(records.len() as u64);
        let page = store
            .read(Read::all(Query::all()).after(after))
            .await
            .unwrap();
        records.extend(page.events);
        if !page.more {
            break;
        }
    }
    let mut holders: BTreeMap<String, String> = BTreeMap::new();
    let mut log = records.iter();
    while let Some(record) = log.next() {
        let tool = record.stream.key();
        let mut expect = |member: &str, event: MemberEvent| {
            let counted = log.next().unwrap();
            assert_eq!(counted.stream.to_string(), format!("member-{member}"));
            assert_eq!(counted.decode::<MemberEvent>().unwrap(), event);
        };
        let previous = holders.remove(tool);
        let number = tool.parse().unwrap();
        if let ToolEvent::Lent { member } = record.decode().unwrap() {
            expect(&member, MemberEvent::Borrowed { tool: number });
            holders.insert(tool.to_owned(), member);
        } else {
            assert!(previous.is_some(), "{tool} was returned twice");
        }
        if let Some(previous) = previous {
            expect(&previous, MemberEvent::GaveBack { tool: number });
        }
    }
    records.len()
}

/// A command on one of three tools and one of three members.
#[derive(Debug, Clone, Copy)]
enum Step {
    Lend(u32, u8),
    Return(u32),
    PassOn(u32, u8),
}

/// The result of a step.
#[derive(Debug, PartialEq)]
enum Outcome {
    Done,
    Refused(Refused),
    SameMember,
    Nobody,
}

impl Step {
    fn random(rng: &mut fastrand::Rng) -> Self {
        let (tool, member) = (rng.u32(1..=3), rng.u8(0..3));
        match rng.u8(0..4) {
            0 | 1 => Self::Lend(tool, member),
            2 => Self::Return(tool),
            _ => Self::PassOn(tool, member),
        }
    }

    /// Executes the step, with an idempotency key if there is one.
    async fn execute(self, engine: &Engine, key: Option<String>) -> Outcome {
        let name = |member: u8| ["ada", "bob", "eve"][member as usize];
        let result = match self {
            Self::Lend(tool, member) => {
                let command = engine.execute(lend(tool, name(member)));
                command.maybe(key, Execute::idempotency_key).await
            }
            Self::Return(tool) => {
                let command = engine.execute(Return { tool });
                command.maybe(key, Execute::idempotency_key).await
            }
            Self::PassOn(tool, member) => {
                let command = engine.execute(pass_on(tool, name(member)));
                command.maybe(key, Execute::idempotency_key).await
            }
        };
        match result {
            Ok(_) => Outcome::Done,
            Err(ExecuteError::Rejected(refused)) => Outcome::Refused(refused),
            Err(ExecuteError::DuplicateStream { .. }) => Outcome::SameMember,
            Err(ExecuteError::InvalidTarget(_)) => Outcome::Nobody,
            Err(error) => panic!("{self:?}: {error}"),
        }
    }

    /// Executes the step on a model: the holder of each tool.
    fn model(self, holders: &mut BTreeMap<u32, u8>) -> Outcome {
        match self {
            Self::Lend(tool, _) if holders.contains_key(&tool) => Outcome::Refused(Refused::Lent),
            Self::Return(tool) => match holders.remove(&tool) {
                Some(_) => Outcome::Done,
                None => Outcome::Refused(Refused::NotLent),
            },
            Self::PassOn(tool, member) => match holders.get(&tool) {
                None => Outcome::Nobody,
                Some(holder) if *holder == member => Outcome::SameMember,
                Some(_) => {
                    holders.insert(tool, member);
                    Outcome::Done
                }
            },
            Self::Lend(tool, member) => {
                holders.insert(tool, member);
                Outcome::Done
            }
        }
    }
}

#[tokio::test]
async fn engines_in_turn_agree_with_the_model() {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let store = MemoryStore::new();
        let engines = [0, 2, 100].map(|capacity| engine(&store, capacity));
        let mut holders = BTreeMap::new();
        for number in 0..60 {
            let (step, engine) = (Step::random(&mut rng), rng.usize(..engines.len()));
            let key = rng.bool().then(|| format!("step {number}"));
            let outcome = step.execute(&engines[engine], key).await;
            let expected = step.model(&mut holders);
            assert_eq!(
                outcome, expected,
                "seed {seed}, {step:?} as number {number}"
            );
        }
        assert_loans_match_holders(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_engines_count_each_loan_on_its_holder() {
    for seed in 0..12 {
        let faults = Faults {
            rejected: 0.05,
            rolled_back: 0.05,
            ..Faults::DELAYS
        };
        let store = MemoryStore::new();
        let engines = [0, 2, 100, 100].map(|capacity| {
            Engine::builder(Faulty::new(store.clone(), seed, faults))
                .cache_capacity(capacity)
                .retry(RetryPolicy {
                    attempts: 1_000,
                    base: Duration::from_micros(50),
                    cap: Duration::from_millis(2),
                })
                .build()
        });
        let tasks = (0..16).map(|task| {
            let engine = engines[task % engines.len()].clone();
            let mut rng = fastrand::Rng::with_seed(seed * 100 + task as u64);
            tokio::spawn(async move {
                let mut done = 0;
                for number in 0..12 {
                    let key = rng.bool().then(|| format!("{task}/{number}"));
                    let outcome = Step::random(&mut rng).execute(&engine, key).await;
                    done += usize::from(outcome == Outcome::Done);
                }
                done
            })
        });
        let mut done = 0;
        for task in tasks.collect::<Vec<_>>() {
            done += task.await.unwrap();
        }
        let events = assert_loans_match_holders(&store).await;
        assert!(
            done > 0 && events >= 2 * done,
            "seed {seed}: {done} {events}"
        );
    }
}

type Pending = JoinHandle<Result<Receipt, ExecuteError<Refused>>>;

fn spawn<C: Decide<Error = Refused>>(engine: &Engine, command: C) -> Pending {
    let engine = engine.clone();
    tokio::spawn(async move { engine.execute(command).await })
}

/// Returns an engine on which Ada holds tool 1, and whose next command on it is in flight.
async fn start() -> (Gate, Engine) {
    let gate = Gate::default();
    let engine = Engine::new(gate.clone());
    for command in [lend(1, "ada"), lend(2, "eve")] {
        let lent = spawn(&engine, command);
        gate.complete(1).await;
        lent.await.unwrap().unwrap();
    }
    (gate, engine)
}

/// Starts commands while the append of another one is in flight, so that they are pipelined.
async fn pipeline<const N: usize>(
    gate: &Gate,
    commands: impl FnOnce() -> [Pending; N],
) -> [Pending; N] {
    let commands = commands();
    gate.wait_for_appends(1).await;
    // All others wait for the tool.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    commands
}

#[tokio::test]
async fn pipelined_command_finds_in_the_state_in_flight() {
    let (gate, engine) = start().await;
    let first = spawn(&engine, pass_on(1, "bob"));
    gate.wait_for_appends(1).await;
    let commands = pipeline(&gate, || {
        [
            spawn(&engine, Return { tool: 1 }),
            spawn(&engine, lend(1, "eve")),
            spawn(&engine, Return { tool: 1 }),
        ]
    })
    .await;
    gate.complete(1).await;
    first.await.unwrap().unwrap();
    gate.wait_for_appends(3).await;
    gate.complete(3).await;
    for command in commands {
        assert_eq!(command.await.unwrap().unwrap().attempts(), 1);
    }
    assert_eq!(member(&engine, "bob").await, (1, 1));
    assert_eq!(member(&engine, "eve").await, (2, 1));
}

#[tokio::test]
async fn command_finds_again_after_a_failed_append() {
    let (gate, engine) = start().await;
    let first = spawn(&engine, pass_on(1, "bob"));
    gate.wait_for_appends(1).await;
    let [returned, lent, again] = pipeline(&gate, || {
        [
            spawn(&engine, Return { tool: 1 }),
            spawn(&engine, lend(1, "eve")),
            spawn(&engine, Return { tool: 1 }),
        ]
    })
    .await;
    gate.complete(1).await;
    first.await.unwrap().unwrap();
    gate.wait_for_appends(3).await;
    gate.complete(1).await;
    gate.fail_with(StoreError::Failed("out of luck".into()))
        .await;
    gate.complete(1).await;
    returned.await.unwrap().unwrap();
    lent.await.unwrap().unwrap_err();
    // Eve has never had the tool.
    let error = again.await.unwrap().unwrap_err();
    assert!(
        matches!(error, ExecuteError::Rejected(Refused::NotLent)),
        "{error}"
    );
    assert_eq!(member(&engine, "eve").await, (1, 0));
}

#[tokio::test]
async fn invalid_find_waits_until_its_state_is_stored() {
    for is_stored in [true, false] {
        let (gate, engine) = start().await;
        let first = spawn(&engine, Return { tool: 1 });
        gate.wait_for_appends(1).await;
        let [lent, passed] = pipeline(&gate, || {
            [
                spawn(&engine, lend(1, "eve")),
                spawn(&engine, pass_on(1, "eve")),
            ]
        })
        .await;
        gate.complete(1).await;
        first.await.unwrap().unwrap();
        gate.wait_for_appends(1).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!passed.is_finished());
        if is_stored {
            gate.complete(1).await;
        } else {
            gate.fail_with(StoreError::Failed("out of luck".into()))
                .await;
        }
        assert_eq!(lent.await.unwrap().is_ok(), is_stored);
        let error = passed.await.unwrap().unwrap_err();
        match is_stored {
            true => assert!(
                matches!(error, ExecuteError::DuplicateStream { .. }),
                "{error}"
            ),
            false => assert!(matches!(error, ExecuteError::InvalidTarget(_)), "{error}"),
        }
    }
}

/// Lends a tool for a day; the deadline returns it.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Tool)]
struct LendForADay {
    #[id]
    tool: u32,
    member: String,
}

impl Decide for LendForADay {
    type Error = Refused;
    fn decide(&self, _: &Tool) -> Result<Events<ToolEvent>, Refused> {
        let (member, tool) = (self.member.clone(), self.tool);
        let lent = Events::from(ToolEvent::Lent { member });
        Ok(lent.deadline("return", DAY, GiveBack { tool }))
    }
}

/// As [`Return`], for loans that are not counted.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Tool, find = Vec<Member>)]
struct GiveBack {
    #[id]
    tool: u32,
}

impl Find for GiveBack {
    fn find(&self, tool: &Tool) -> Vec<String> {
        tool.holder.iter().cloned().collect()
    }
}

impl Decide for GiveBack {
    type Error = Refused;
    fn decide(
        &self,
        (_, holders): (&Tool, Vec<&Member>),
    ) -> Result<(Events<ToolEvent>, Vec<Events<MemberEvent>>), Refused> {
        let tool = self.tool;
        let gave_back = Events::from(MemberEvent::GaveBack { tool });
        // A deadline of a stream that was found.
        let gave_back = gave_back.deadline(
            "thanks",
            DAY,
            Thank {
                member: "ada".to_owned(),
            },
        );
        let gave_back = holders.iter().map(|_| gave_back.clone());
        Ok((ToolEvent::Returned.into(), gave_back.collect()))
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Member)]
struct Thank {
    #[id]
    member: String,
}

impl Decide for Thank {
    type Error = Refused;
    fn decide(&self, _: &Member) -> Result<Events<MemberEvent>, Refused> {
        Ok(MemberEvent::Borrowed { tool: 0 }.into())
    }
}

/// Takes the tools away from a member.
#[derive(ProcessManager, Default, Clone, Serialize, Deserialize)]
#[process_manager(id = String, events = ToolEvent, commands = GiveBack)]
struct Distrust;

impl Apply<ToolEvent> for Distrust {
    fn apply(&mut self, _: &ToolEvent) {}
}

impl React<ToolEvent> for Distrust {
    fn correlate(event: &Recorded<ToolEvent>) -> Correlation<String> {
        match &event.event {
            ToolEvent::Lent { member } if member == "eve" => Correlation::Starts(member.clone()),
            _ => Correlation::Ignored,
        }
    }

    fn react(&self, event: &Recorded<ToolEvent>, then: &mut Reactions<Self>) {
        let tool = event.record.stream.key().parse().unwrap();
        then.send(GiveBack { tool });
    }
}

impl Respond for Distrust {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}
    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

#[tokio::test]
async fn deadlines_and_process_managers_find() {
    let clock = VirtualClock::new();
    let engine = Engine::builder(MemoryStore::new())
        .clock(clock.clone())
        .build();
    let runtime = Runtime::builder(&engine)
        .deadlines::<GiveBack>()
        .deadlines::<Thank>()
        .process::<Distrust>(StartFrom::Beginning)
        .start()
        .await
        .unwrap();
    for (tool, member) in [(1, "ada"), (2, "eve")] {
        let member = member.to_owned();
        engine.execute(LendForADay { tool, member }).await.unwrap();
    }
    runtime.wait_until_idle().await.unwrap();
    assert_eq!(member(&engine, "eve").await, (0, 1));
    assert_eq!(member(&engine, "ada").await, (0, 0));
    clock.advance(DAY + Duration::from_secs(1));
    runtime.wait_until_idle().await.unwrap();
    assert_eq!(member(&engine, "ada").await.1, 1);
    clock.advance(DAY + Duration::from_secs(1));
    runtime.wait_until_idle().await.unwrap();
    // Thanked twice: for the tool that Eve had, and for the other one.
    assert_eq!(member(&engine, "ada").await, (2, 1));
    runtime.stop().await;
}
