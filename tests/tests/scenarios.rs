//! Scenarios of the test kit agree with the engine: the same past gives the same decision.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use factum::prelude::*;
use factum_memory::MemoryStore;
use factum_testkit::{Scenario, given};
use proptest::prelude::*;

#[derive(Event, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[event(prefix = "note")]
enum NoteEvent {
    Added {
        #[tag]
        key: u8,
        value: u8,
    },
    Removed {
        #[tag]
        key: u8,
    },
}

#[derive(Event, Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[event(prefix = "mark")]
enum MarkEvent {
    Set {
        #[tag]
        key: u8,
    },
}

/// A state that differs for all different histories of events.
#[derive(Debug, Clone, Copy, Default)]
struct Digest(u8);

impl Digest {
    fn add(&mut self, number: u8) {
        self.0 = self.0.wrapping_mul(31).wrapping_add(number).wrapping_add(1);
    }
}

impl Apply<NoteEvent> for Digest {
    fn apply(&mut self, event: &NoteEvent) {
        match event {
            NoteEvent::Added { key, value } => self.add(key.wrapping_mul(7).wrapping_add(*value)),
            NoteEvent::Removed { key } => self.add(key.wrapping_add(200)),
        }
    }
}

impl Apply<MarkEvent> for Digest {
    fn apply(&mut self, MarkEvent::Set { key }: &MarkEvent) {
        self.add(key.wrapping_add(100));
    }
}

/// Defines an aggregate whose state is the digest of its events, and a command that stores given events.
macro_rules! aggregate {
    ($name:ident, $category:literal, $event:ident, $store:ident) => {
        #[derive(Aggregate, Debug, Clone, Default)]
        #[aggregate(category = $category, id = u8, event = $event)]
        struct $name(Digest);

        impl Apply<$event> for $name {
            fn apply(&mut self, event: &$event) {
                self.0.apply(event);
            }
        }

        #[derive(Command, Debug, Serialize)]
        #[command(on = $name)]
        struct $store {
            #[id]
            id: u8,
            events: Vec<$event>,
        }

        impl Decide for $store {
            type Error = Odd;

            fn decide(&self, _: &$name) -> Result<Events<$event>, Odd> {
                Ok(self.events.clone().into())
            }
        }
    };
}

aggregate!(Note, "note", NoteEvent, StoreNotes);
aggregate!(Mark, "mark", MarkEvent, StoreMarks);

/// The digest of all states is odd.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the digest is odd: {0}")]
struct Odd(u8);

fn decide(states: impl IntoIterator<Item = u8>) -> Result<u8, Odd> {
    let mut all = Digest::default();
    states.into_iter().for_each(|state| all.add(state));
    if all.0 % 4 == 3 {
        Err(Odd(all.0))
    } else {
        Ok(all.0)
    }
}

fn added(value: u8) -> Events<NoteEvent> {
    NoteEvent::Added { key: 1, value }.into()
}

/// One aggregate.
#[derive(Command, Debug, Clone, Serialize)]
#[command(on = Note)]
struct One(#[id] u8);

impl Decide for One {
    type Error = Odd;

    fn decide(&self, note: &Note) -> Result<Events<NoteEvent>, Odd> {
        Ok(added(decide([note.0.0])?))
    }
}

/// Two aggregates of different types, and a DCB query over the events of both.
#[derive(Command, Debug, Clone, Serialize)]
#[command(on = (Note, Mark), query = Digest, events = (NoteEvent, MarkEvent))]
struct Two {
    #[id]
    note: u8,
    #[id]
    mark: u8,
    #[tag]
    key: u8,
}

impl Decide for Two {
    type Error = Odd;

    fn decide(
        &self,
        ((note, mark), query): ((&Note, &Mark), &Digest),
    ) -> Result<(Events<NoteEvent>, Events<MarkEvent>), Odd> {
        let value = decide([note.0.0, mark.0.0, query.0])?;
        Ok((added(value), Events::none()))
    }
}

/// Three aggregates and a DCB query over one event type.
#[derive(Command, Debug, Clone, Serialize)]
#[command(on = (Note, Note, Mark), query = Digest, events = NoteEvent)]
struct Three {
    #[id]
    first: u8,
    #[id]
    second: u8,
    #[id]
    mark: u8,
    #[tag]
    key: u8,
}

type ThreeDecisions = (Events<NoteEvent>, Events<NoteEvent>, Events<MarkEvent>);

impl Decide for Three {
    type Error = Odd;

    fn decide(
        &self,
        ((first, second, mark), query): ((&Note, &Note, &Mark), &Digest),
    ) -> Result<ThreeDecisions, Odd> {
        let value = decide([first.0.0, second.0.0, mark.0.0, query.0])?;
        let marked = MarkEvent::Set { key: value };
        Ok((Events::none(), added(value), marked.into()))
    }
}

/// A list of aggregates and a DCB query.
#[derive(Command, Debug, Clone, Serialize)]
#[command(on = Vec<Note>, query = Digest, events = (MarkEvent, NoteEvent))]
struct Listed {
    #[id]
    notes: Vec<u8>,
    #[tag]
    key: u8,
}

impl Decide for Listed {
    type Error = Odd;

    fn decide(&self, (notes, query): (Vec<&Note>, &Digest)) -> Result<Vec<Events<NoteEvent>>, Odd> {
        let states = notes.iter().map(|note| note.0.0).chain([query.0]);
        let value = decide(states)?;
        Ok(notes.iter().map(|_| added(value)).collect())
    }
}

/// An aggregate, another one or none, and a DCB query.
#[derive(Command, Debug, Clone, Serialize)]
#[command(on = (Note, Option<Mark>), query = Digest, events = (NoteEvent, MarkEvent))]
struct Optional {
    #[id]
    note: u8,
    #[id]
    mark: Option<u8>,
    #[tag]
    key: u8,
}

impl Decide for Optional {
    type Error = Odd;

    fn decide(
        &self,
        ((note, mark), query): ((&Note, Option<&Mark>), &Digest),
    ) -> Result<(Events<NoteEvent>, Events<MarkEvent>), Odd> {
        let marked = mark.map_or(0, |mark| mark.0.0.wrapping_add(1));
        let value = decide([note.0.0, marked, query.0])?;
        let marks = mark.map(|_| MarkEvent::Set { key: value });
        Ok((added(value), marks.into_iter().collect()))
    }
}

/// An aggregate, another one that it finds or not, and a DCB query.
#[derive(Command, Debug, Clone, Serialize)]
#[command(on = Note, find = Option<Mark>, query = Digest, events = (NoteEvent, MarkEvent))]
struct Finds {
    #[id]
    note: u8,
    #[tag]
    key: u8,
}

impl Find for Finds {
    fn find(&self, note: &Note) -> Option<u8> {
        note.0.0.is_multiple_of(2).then_some(3)
    }
}

impl Decide for Finds {
    type Error = Odd;

    fn decide(
        &self,
        ((note, mark), query): ((&Note, Option<&Mark>), &Digest),
    ) -> Result<(Events<NoteEvent>, Events<MarkEvent>), Odd> {
        let marked = mark.map_or(0, |mark| mark.0.0.wrapping_add(1));
        let value = decide([note.0.0, marked, query.0])?;
        let marks = mark.map(|_| MarkEvent::Set { key: value });
        Ok((added(value), marks.into_iter().collect()))
    }
}

/// The past events of a scenario.
#[derive(Debug, Clone)]
struct PastEvents {
    first: Vec<NoteEvent>,
    second: Vec<NoteEvent>,
    marks: Vec<MarkEvent>,
    other_notes: Vec<NoteEvent>,
    other_marks: Vec<MarkEvent>,
}

fn past() -> impl Strategy<Value = PastEvents> {
    let note = prop_oneof![
        (0..3_u8, any::<u8>()).prop_map(|(key, value)| NoteEvent::Added { key, value }),
        (0..3_u8).prop_map(|key| NoteEvent::Removed { key }),
    ];
    let mark = (0..3_u8).prop_map(|key| MarkEvent::Set { key });
    let notes = || prop::collection::vec(note.clone(), 0..4);
    let marks = || prop::collection::vec(mark.clone(), 0..4);
    let lists = (notes(), notes(), marks(), notes(), marks());
    lists.prop_map(
        |(first, second, marks, other_notes, other_marks)| PastEvents {
            first,
            second,
            marks,
            other_notes,
            other_marks,
        },
    )
}

/// Returns an engine on a store with these lists of events, in the order in which a scenario records them.
async fn engine(notes: &[(u8, &Vec<NoteEvent>)], past: &PastEvents, marks: bool) -> Engine {
    let engine = Engine::new(MemoryStore::new());
    let other_notes = (9, &past.other_notes);
    for (id, events) in notes {
        let (id, events) = (*id, (*events).clone());
        engine.execute(StoreNotes { id, events }).await.unwrap();
    }
    if marks {
        let (id, events) = (3, past.marks.clone());
        engine.execute(StoreMarks { id, events }).await.unwrap();
    }
    let (id, events) = (other_notes.0, other_notes.1.clone());
    engine.execute(StoreNotes { id, events }).await.unwrap();
    let (id, events) = (9, past.other_marks.clone());
    engine.execute(StoreMarks { id, events }).await.unwrap();
    engine
}

/// The stored events of a decision with their streams, or the rejection.
type Outcome = Result<Vec<(String, Vec<u8>)>, Odd>;

async fn execute<C: Decide<Error = Odd>>(engine: &Engine, command: C) -> Outcome {
    match engine.execute(command).await {
        Ok(receipt) => {
            let events = receipt.events().iter();
            let events = events.map(|event| (event.stream.to_string(), event.data.to_vec()));
            Ok(events.collect())
        }
        Err(ExecuteError::Rejected(odd)) => Err(odd),
        Err(error) => panic!("{error}"),
    }
}

fn stored<E: Event>(stream: &str, events: Events<E>) -> Vec<(String, Vec<u8>)> {
    let events = events.into_vec().into_iter();
    let events = events.map(|event| (stream.to_owned(), event.to_json().unwrap()));
    events.collect()
}

fn decided<C: Decide<Error = Odd>>(
    scenario: Scenario<C>,
    stored: impl FnOnce(<C::On as factum::command::Boundary>::Decision) -> Vec<(String, Vec<u8>)>,
) -> Outcome {
    scenario.result().map(stored)
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn scenario_of_one_aggregate_agrees_with_engine(past in past()) {
        let expected = block_on(async {
            let engine = engine(&[(1, &past.first)], &past, false).await;
            execute(&engine, One(1)).await
        });
        let scenario = given(past.first).when(One(1));
        prop_assert_eq!(decided(scenario, |events| stored("note-1", events)), expected);
    }

    #[test]
    fn scenario_of_two_aggregates_agrees_with_engine(past in past(), key in 0..3_u8) {
        let command = Two { note: 1, mark: 3, key };
        let expected = block_on(async {
            let engine = engine(&[(1, &past.first)], &past, true).await;
            execute(&engine, command.clone()).await
        });
        let others = (past.other_notes, past.other_marks);
        let scenario = given(((past.first, past.marks), others)).when(command);
        let actual = decided(scenario, |(notes, marks)| {
            [stored("note-1", notes), stored("mark-3", marks)].concat()
        });
        prop_assert_eq!(actual, expected);
    }

    #[test]
    fn scenario_of_three_aggregates_agrees_with_engine(past in past(), key in 0..3_u8) {
        let command = Three { first: 1, second: 2, mark: 3, key };
        let expected = block_on(async {
            let engine = engine(&[(1, &past.first), (2, &past.second)], &past, true).await;
            execute(&engine, command.clone()).await
        });
        let own = (past.first, past.second, past.marks);
        let scenario = given((own, (past.other_notes, past.other_marks))).when(command);
        let actual = decided(scenario, |(first, second, marks)| {
            [stored("note-1", first), stored("note-2", second), stored("mark-3", marks)].concat()
        });
        prop_assert_eq!(actual, expected);
    }

    #[test]
    fn scenario_of_an_option_agrees_with_engine(past in past(), key in 0..3_u8, some: bool) {
        let command = Optional { note: 1, mark: some.then_some(3), key };
        let expected = block_on(async {
            let engine = engine(&[(1, &past.first)], &past, some).await;
            execute(&engine, command.clone()).await
        });
        let marks = if some { past.marks } else { Vec::new() };
        let others = (past.other_notes, past.other_marks);
        let scenario = given(((past.first, marks), others)).when(command);
        let actual = decided(scenario, |(notes, marks)| {
            [stored("note-1", notes), stored("mark-3", marks)].concat()
        });
        prop_assert_eq!(actual, expected);
    }

    #[test]
    fn scenario_that_finds_agrees_with_engine(past in past(), key in 0..3_u8) {
        let command = Finds { note: 1, key };
        let mut note = Note::default();
        past.first.iter().for_each(|event| note.apply(event));
        let found = command.find(&note).is_some();
        let expected = block_on(async {
            let engine = engine(&[(1, &past.first)], &past, found).await;
            execute(&engine, command.clone()).await
        });
        let marks = if found { past.marks } else { Vec::new() };
        let others = (past.other_notes, past.other_marks);
        let scenario = given(((past.first, marks), others)).when(command);
        let actual = decided(scenario, |(notes, marks)| {
            [stored("note-1", notes), stored("mark-3", marks)].concat()
        });
        prop_assert_eq!(actual, expected);
    }

    #[test]
    fn scenario_of_a_list_agrees_with_engine(past in past(), key in 0..3_u8) {
        let command = Listed { notes: vec![1, 2], key };
        let expected = block_on(async {
            let engine = engine(&[(1, &past.first), (2, &past.second)], &past, false).await;
            execute(&engine, command.clone()).await
        });
        let others = (past.other_notes, past.other_marks);
        let scenario = given((vec![past.first, past.second], others)).when(command);
        let actual = decided(scenario, |decisions| {
            let streams = ["note-1", "note-2"].into_iter();
            streams.zip(decisions).flat_map(|(stream, events)| stored(stream, events)).collect()
        });
        prop_assert_eq!(actual, expected);
    }
}

#[test]
fn then_accepts_every_arity_with_a_query() {
    let three = || Three {
        first: 1,
        second: 2,
        mark: 3,
        key: 7,
    };
    let Ok((_, second, marks)) = given(()).when(three()).result() else {
        panic!("rejected")
    };
    let scenario = given((((), (), ()), ((), (), ()))).when(three());
    scenario.then(((), second, marks));
    let listed = Listed {
        notes: vec![1, 2],
        key: 7,
    };
    let Ok(decisions) = given(()).when(listed.clone()).result() else {
        panic!("rejected")
    };
    given(()).when(listed).then(decisions);
}

#[derive(Command, Debug, Serialize)]
#[command(on = Vec<Note>)]
struct Nothing {
    #[id]
    notes: Vec<u8>,
    #[serde(skip)]
    decisions: usize,
}

impl Decide for Nothing {
    type Error = Odd;

    fn decide(&self, _: Vec<&Note>) -> Result<Vec<Events<NoteEvent>>, Odd> {
        Ok(vec![Events::none(); self.decisions])
    }
}

#[test]
fn unit_means_no_events_for_each_aggregate_of_a_list() {
    let notes = vec![1, 2];
    given(())
        .when(Nothing {
            notes,
            decisions: 2,
        })
        .then(());
}

#[test]
#[should_panic(expected = "it has 1 lists of events, expected 2")]
fn decision_that_the_engine_cannot_store_fails() {
    let notes = vec![1, 2];
    let _ = given(()).when(Nothing {
        notes,
        decisions: 1,
    });
}

#[test]
#[should_panic(expected = "stream note-1 occurs twice")]
fn command_that_names_a_stream_twice_fails() {
    let notes = vec![1, 1];
    let _ = given(()).when(Nothing {
        notes,
        decisions: 2,
    });
}

/// Marks a note, or an aggregate that it does not name.
#[derive(Command, Debug, Clone, Serialize)]
#[command(on = Option<Mark>)]
struct MarkAlways(#[id] Option<u8>);

impl Decide for MarkAlways {
    type Error = Odd;

    fn decide(&self, _: Option<&Mark>) -> Result<Events<MarkEvent>, Odd> {
        Ok(MarkEvent::Set { key: 1 }.into())
    }
}

#[test]
fn option_accepts_the_events_of_one_aggregate() {
    let marked = || [MarkEvent::Set { key: 1 }];
    given(marked()).when(MarkAlways(Some(1))).then(marked());
    given(())
        .when(MarkAlways(Some(1)))
        .then(Vec::from(marked()));
}

#[test]
#[should_panic(expected = "`given` has 1 events of an aggregate of mark, but the command has none")]
fn past_events_of_a_missing_aggregate_fail() {
    let _ = given([MarkEvent::Set { key: 1 }]).when(MarkAlways(None));
}

#[test]
#[should_panic(expected = "return `Events::none()` if the state is `None`")]
fn decision_with_events_of_a_missing_aggregate_fails() {
    let _ = given(()).when(MarkAlways(None));
}

#[test]
fn engine_rejects_events_of_a_missing_aggregate() {
    block_on(async {
        let engine = Engine::new(MemoryStore::new());
        let error = engine.execute(MarkAlways(None)).await.unwrap_err();
        assert!(matches!(error, ExecuteError::Encode(_)), "{error}");
        let receipt = engine.execute(MarkAlways(Some(1))).await.unwrap();
        assert_eq!(receipt.versions().len(), 1);
    });
}
