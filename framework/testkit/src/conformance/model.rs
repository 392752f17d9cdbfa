//! Cases that compare random reads and append conditions with a simple model.

use super::harness::{Backend, all_events, append, page, stream, tag, tagged};
use factum_core::append::{Append, AppendCondition, AppendError, ExpectedVersion, Violation};
use factum_core::position::{Position, Version};
use factum_core::query::{Query, QueryItem};
use factum_core::read::{Direction, MAX_PAGE, Read, Scope};
use factum_core::store::EventStore;
use factum_engine::record::{Assigned, NewEvent, RecordedEvent};

/// A random number generator (Marsaglia's xorshift64) whose sequence depends on the seed only.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len() as u64) as usize]
    }

    /// Returns a position from 0 to shortly after `head`, or one of the largest positions.
    fn position(&mut self, head: usize) -> u64 {
        match self.roll(12) {
            0 => 0,
            1 => u64::MAX,
            2 => Position::MAX.get(),
            _ => self.roll(head as u64 + 3),
        }
    }
}

const SEEDS: [u64; 3] = [1, 2, 3];
const STREAMS: [&str; 9] = [
    "a-1", "a-2", "a-21", "A-1", "ab-1", "b-1", "a_b-1", "axb-1", "a%-1",
];
const CATEGORIES: [&str; 7] = ["a", "A", "ab", "a_b", "a%", "%", "c"];
const PREFIXES: [&str; 8] = ["a-", "a-2", "A", "", "a_", "a%", "b-1", "c"];
const TAGS: [&str; 7] = ["k:1", "k:2", "K:1", "l:1", "l:", "k:%", "k:1 "];
const NAMES: [&str; 5] = ["x.made", "x.Made", "y.made", "x_made", "%"];

fn random_event(dice: &mut Dice, number: u64) -> NewEvent {
    let mut made = tagged(number, &[]);
    // The list may contain the same tag twice.
    made.tags = (0..dice.roll(4)).map(|_| tag(dice.pick(&TAGS))).collect();
    made.name = dice.pick(&NAMES).into();
    made
}

fn random_query(dice: &mut Dice) -> Query {
    let query = (0..dice.roll(4)).fold(Query::none(), |query, _| {
        query.or(QueryItem {
            category: (dice.roll(4) == 0).then(|| dice.pick(&CATEGORIES).to_owned()),
            stream_prefix: (dice.roll(4) == 0).then(|| dice.pick(&PREFIXES).to_owned()),
            event_types: (0..dice.roll(3))
                .map(|_| dice.pick(&NAMES).to_owned())
                .collect(),
            tags: (0..dice.roll(3)).map(|_| tag(dice.pick(&TAGS))).collect(),
        })
    });
    match query.matches_nothing() {
        true => Query::all(),
        false => query,
    }
}

fn random_read(dice: &mut Dice, head: usize) -> Read {
    let read = match dice.roll(8) {
        0 => Read::stream(stream(dice.pick(&STREAMS))),
        // The list may be empty or contain the same stream twice.
        1 => Read::streams((0..dice.roll(5)).map(|_| stream(dice.pick(&STREAMS)))),
        _ => Read::all(random_query(dice)),
    };
    let cursor = dice.position(head);
    let read = match dice.roll(2) {
        0 => read.after(cursor),
        _ => read.before(cursor),
    };
    read.limit(1 + dice.roll(80) as usize)
}

/// Appends random events to `store` and returns the events that it must return.
async fn fill(store: &impl EventStore, dice: &mut Dice) -> Vec<RecordedEvent> {
    let mut sent: Vec<RecordedEvent> = Vec::new();
    for number in 0..120 {
        let event = random_event(dice, number);
        let id = stream(dice.pick(&STREAMS));
        let of_stream = sent.iter().filter(|event| event.stream == id).count() as u64;
        let request = Append::stream(id.clone(), ExpectedVersion::Any, vec![event.clone()]);
        let assigned = Assigned {
            position: Position::new(number + 1),
            version: Version::new(of_stream + 1),
            recorded_at: append(store, request).await.recorded_at,
        };
        sent.push(RecordedEvent::new(event, id, assigned));
    }
    sent
}

/// Returns the events of `stored` that match `read`, in the order of the read and without its limit.
fn matching_events<'e>(stored: &'e [RecordedEvent], read: &Read) -> Vec<&'e RecordedEvent> {
    let cursor_of = |event: &RecordedEvent| match read.scope {
        Scope::Stream(_) => event.version.get(),
        _ => event.position.get(),
    };
    let wanted = stored.iter().filter(|event| match &read.scope {
        Scope::Stream(stream) => event.stream == *stream,
        Scope::Streams(streams) => streams.contains(&event.stream),
        Scope::All(query) => query.matches(event),
    });
    match read.direction {
        Direction::Forward => wanted
            .filter(|event| cursor_of(event) > read.cursor)
            .collect(),
        Direction::Backward => wanted
            .filter(|event| cursor_of(event) < read.cursor)
            .rev()
            .collect(),
    }
}

fn positions<'e>(events: impl IntoIterator<Item = &'e RecordedEvent>) -> Vec<u64> {
    events
        .into_iter()
        .map(|event| event.position.get())
        .collect()
}

/// A read returns exactly the matching events, in both directions and for every scope.
pub async fn read_returns_exactly_the_matching_events<B: Backend>() {
    for seed in SEEDS {
        let backend = B::create().await;
        let store = backend.open().await;
        let mut dice = Dice::new(seed);
        let sent = fill(&store, &mut dice).await;
        let stored = all_events(&store, MAX_PAGE).await;
        assert!(
            stored == sent,
            "seed {seed}: the stored events differ from the appended events"
        );
        for _ in 0..250 {
            let read = random_read(&mut dice, sent.len());
            let mut expected = matching_events(&sent, &read);
            let more = expected.len() > read.limit;
            expected.truncate(read.limit);
            let found = page(&store, read.clone()).await;
            assert!(
                found.events.iter().eq(expected.iter().copied()),
                "seed {seed}, {read:?}: expected the events {:?}, got {:?}",
                positions(expected),
                positions(&found.events),
            );
            assert_eq!(found.more, more, "seed {seed}, `more` of {read:?}");
            assert_eq!(found.head.get(), 120, "seed {seed}, head of {read:?}");
        }
    }
}

/// An append condition fails if and only if a read with its query finds an event.
///
/// The conflict reports the position of the newest matching event.
pub async fn append_condition_agrees_with_read<B: Backend>() {
    for seed in SEEDS {
        let backend = B::create().await;
        let store = backend.open().await;
        let mut dice = Dice::new(seed);
        let sent = fill(&store, &mut dice).await;
        for _ in 0..150 {
            let condition = AppendCondition {
                query: random_query(&mut dice),
                after: Position::new(dice.position(sent.len())),
            };
            let later = Read::all(condition.query.clone()).after(condition.after);
            let newest = matching_events(&sent, &later)
                .last()
                .map(|event| event.position);
            let request = Append::default().condition(condition.query.clone(), condition.after);
            match (store.append(request).await, newest) {
                (Ok(_), None) => {}
                (Err(AppendError::Conflict(conflict)), Some(found)) => {
                    let violation = Violation::Condition { condition, found };
                    assert_eq!(conflict.violations, [violation], "seed {seed}");
                }
                (result, newest) => panic!(
                    "seed {seed}, {condition:?}: newest matching event {newest:?}, but the append returned {result:?}"
                ),
            }
        }
        assert_eq!(all_events(&store, MAX_PAGE).await.len(), sent.len());
    }
}
