//! Pages, in both directions, and filters.

use super::contract::{
    Backend, event, events, everything, numbers, page, put, stream, tag, tagged,
};
use crate::place::Position;
use crate::query::{Query, QueryItem};
use crate::read::{MAX_PAGE, Read, Scope};
use crate::record::{NewEvent, RecordedEvent};
use crate::store::EventStore;

/// Pages go forward and backward.
pub async fn pages_go_forward_and_backward<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    for round in 0..4 {
        put(&store, "contract-a", events([round * 2])).await;
        put(&store, "contract-b", events([round * 2 + 1])).await;
    }
    let of_a = || Read::stream(stream("contract-a"));
    let of_all = || Read::all(Query::all());
    let of_both = || {
        Read::streams([
            stream("contract-b"),
            stream("contract-a"),
            stream("contract-c"),
        ])
    };
    for (read, expected) in [
        (of_a(), vec![0, 2, 4, 6]),
        (of_a().after(1_u64), vec![2, 4, 6]),
        (of_a().after(1_u64).limit(2), vec![2, 4]),
        (of_a().after(4_u64), vec![]),
        (of_a().after(u64::MAX), vec![]),
        (of_a().backward(), vec![6, 4, 2, 0]),
        (of_a().backward().limit(1), vec![6]),
        (of_a().before(3_u64), vec![2, 0]),
        (of_a().before(1_u64), vec![]),
        (of_a().before(0_u64), vec![]),
        (of_all(), vec![0, 1, 2, 3, 4, 5, 6, 7]),
        (of_all().after(5_u64), vec![5, 6, 7]),
        (of_all().backward().limit(3), vec![7, 6, 5]),
        (of_all().before(3_u64), vec![1, 0]),
        (of_all().after(Position::MAX), vec![]),
        (of_both(), vec![0, 1, 2, 3, 4, 5, 6, 7]),
        (of_both().after(6_u64), vec![6, 7]),
        (of_both().before(3_u64), vec![1, 0]),
        (Read::streams([stream("contract-b")]).limit(2), vec![1, 3]),
        (Read::streams([]), vec![]),
        (Read::stream(stream("contract-c")), vec![]),
        (Read::stream(stream("contract-c")).backward(), vec![]),
    ] {
        let found = page(&store, read.clone()).await;
        assert_eq!(numbers(&found.events), expected, "{read:?}");
        assert_eq!(found.head, Position::new(8), "{read:?}");
    }
}

/// A page says whether there is more.
pub async fn a_page_says_whether_there_is_more<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let empty = page(&store, Read::all(Query::all())).await;
    assert_eq!(
        (empty.head, empty.more, empty.through()),
        (Position::ZERO, false, Position::ZERO)
    );
    put(&store, "contract-a", events(1..=5)).await;
    put(&store, "contract-b", events(6..=8)).await;
    let of_a = |limit| Read::all(Query::stream_prefix("contract-a")).limit(limit);
    for (read, more, through) in [
        (of_a(4), true, 4),
        (of_a(5), false, 8),
        (of_a(6), false, 8),
        (of_a(3).after(2_u64), false, 8),
        (of_a(2).after(2_u64), true, 4),
        (of_a(1).after(5_u64), false, 8),
        (Read::all(Query::all()).limit(8), false, 8),
        (Read::all(Query::all()).limit(7), true, 7),
    ] {
        let page = page(&store, read.clone()).await;
        assert_eq!(
            (page.more, page.through()),
            (more, Position::new(through)),
            "{read:?}"
        );
    }
}

/// A small generator of numbers (Marsaglia's xorshift64), so that a seed tells all.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len() as u64) as usize]
    }
}

const STREAMS: [&str; 6] = ["a-1", "a-2", "a-21", "A-1", "ab-1", "b-1"];
const TAGS: [&str; 5] = ["k:1", "k:2", "K:1", "l:1", "l:"];
const NAMES: [&str; 3] = ["x.made", "x.Made", "y.made"];

fn random_event(dice: &mut Dice, number: u64) -> NewEvent {
    let mut made = tagged(number, &[]);
    // Sometimes the same tag twice.
    made.tags = (0..dice.roll(4)).map(|_| tag(dice.pick(&TAGS))).collect();
    made.name = dice.pick(&NAMES).into();
    made
}

fn random_query(dice: &mut Dice) -> Query {
    (0..dice.roll(3)).fold(Query::all(), |query, _| {
        query.or(QueryItem {
            category: (dice.roll(4) == 0).then(|| dice.pick(&["a", "A", "ab", "c"]).to_owned()),
            stream_prefix: (dice.roll(4) == 0)
                .then(|| dice.pick(&["a-", "a-2", "A", "", "c"]).to_owned()),
            names: (0..dice.roll(3))
                .map(|_| dice.pick(&NAMES).to_owned())
                .collect(),
            tags: (0..dice.roll(3)).map(|_| tag(dice.pick(&TAGS))).collect(),
        })
    })
}

/// A query finds what matches and nothing else.
pub async fn a_query_finds_what_matches_and_nothing_else<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    for seed in 1..=3_u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for number in 0..60 {
            let event = random_event(&mut dice, number);
            put(&store, dice.pick(&STREAMS), vec![event]).await;
        }
        let stored = everything(&store, MAX_PAGE).await;
        for _ in 0..150 {
            let query = random_query(&mut dice);
            let cursor = dice.roll(stored.len() as u64 + 2);
            let size = 1 + dice.roll(80) as usize;
            let read = Read::all(query);
            for read in [read.clone().after(cursor), read.before(cursor)] {
                let read = read.limit(size);
                assert_same(&store, &stored, read, seed).await;
            }
        }
    }
}

/// Compares a page with the same found by hand.
async fn assert_same(store: &impl EventStore, stored: &[RecordedEvent], read: Read, seed: u64) {
    let Scope::All(query) = &read.scope else {
        return;
    };
    let matching = stored.iter().filter(|event| query.matches(event));
    let mut expected: Vec<_> = match read.direction {
        crate::read::Direction::Forward => matching
            .filter(|event| event.position.get() > read.cursor)
            .collect(),
        crate::read::Direction::Backward => matching
            .filter(|event| event.position.get() < read.cursor)
            .rev()
            .collect(),
    };
    let more = expected.len() > read.limit;
    expected.truncate(read.limit);
    let found = page(store, read.clone()).await;
    assert!(
        found.events.iter().eq(expected.iter().copied()),
        "seed {seed}, {read:?}: found {:?}, expected {:?}",
        positions(&found.events),
        expected
            .iter()
            .map(|event| event.position.get())
            .collect::<Vec<_>>(),
    );
    assert_eq!(found.more, more, "seed {seed}, {read:?}");
}

fn positions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.position.get()).collect()
}

/// A query may have many tags and names.
pub async fn a_query_may_have_many_tags_and_names<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    put(
        &store,
        "contract-a",
        vec![tagged(1, &["k:7"]), tagged(2, &["k:3001"]), event(3)],
    )
    .await;
    let tags = || (0..3_000).map(|number| tag(&format!("k:{number}")));
    let found = page(&store, Read::all(Query::any_tag(tags()))).await;
    assert_eq!(numbers(&found.events), [1]);
    let names = (0..3_000).map(|number| format!("contract.other{number}"));
    let found = page(&store, Read::all(Query::names(names.clone()))).await;
    assert_eq!(numbers(&found.events), [0; 0]);
    let names = names.chain(["contract.numbered".to_owned()]);
    let found = page(&store, Read::all(Query::names(names))).await;
    assert_eq!(numbers(&found.events), [1, 2, 3]);
}

/// A prefix is meant literally.
pub async fn a_prefix_is_meant_literally<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    let ids = [
        "a-%", "a-x", "a-_y", "a-*z", "a-?", "a-[x]", "a-\u{e9}", "a-'", "A-x", "a-%%",
    ];
    for (number, id) in (0..).zip(ids) {
        put(&store, id, vec![event(number)]).await;
    }
    for prefix in [
        "a-%", "a-_", "a-*", "a-?", "a-[", "a-\u{e9}", "a-'", "a-", "A-", "a-x", "",
    ] {
        let expected: Vec<u64> = (0..)
            .zip(ids)
            .filter(|(_, id)| id.starts_with(prefix))
            .map(|(number, _)| number)
            .collect();
        let found = page(&store, Read::all(Query::stream_prefix(prefix))).await;
        assert_eq!(numbers(&found.events), expected, "{prefix:?}");
    }
}

/// Pages of large events lose nothing.
pub async fn pages_of_large_events_lose_nothing<B: Backend>() {
    let place = B::create().await;
    let store = place.open().await;
    // Together more than a page should weigh, with small ones between.
    for number in 0..12_u64 {
        let padding = if number % 3 == 0 { 4 * 1024 * 1024 } else { 10 };
        let data = format!(
            r#"{{"number":{number},"padding":"{}"}}"#,
            "x".repeat(padding)
        );
        let large = NewEvent {
            data: data.into(),
            ..event(number)
        };
        put(&store, "contract-large", vec![large]).await;
    }
    let stored = everything(&store, MAX_PAGE).await;
    assert_eq!(numbers(&stored), (0..12).collect::<Vec<_>>());
    let mut backward = Vec::new();
    loop {
        let before = backward
            .last()
            .map_or(u64::MAX, |event: &RecordedEvent| event.version.get());
        let page = page(
            &store,
            Read::stream(stream("contract-large")).before(before),
        )
        .await;
        assert!(!page.events.is_empty(), "an empty page");
        backward.extend(page.events);
        if !page.more {
            break;
        }
    }
    assert_eq!(numbers(&backward), (0..12).rev().collect::<Vec<_>>());
}
