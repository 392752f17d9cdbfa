//! What must hold of a store, whatever was killed.

use std::collections::{HashMap, HashSet};

use factum::{Engine, Position, Query, Read, Recorded, RecordedEvent};
use factum_tests::backend::{Backend, CountJars, Jars, replay};
use factum_tests::load::{Acknowledged, JarEvent};

/// Every event of the store.
pub(crate) async fn all_events(engine: &Engine) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let after = events.last().map_or(Position::ZERO, |event| event.position);
        let read = Read::all(Query::all()).after(after);
        let page = engine.store().read(read).await.unwrap();
        events.extend(page.events);
        if !page.more {
            return events;
        }
    }
}

/// The position of the newest event.
#[allow(dead_code, reason = "where only the server is killed")]
pub(crate) async fn head(place: &str) -> u64 {
    let backend = Backend::open(place).await.unwrap();
    let head = backend.engine().store().watch().borrow().get();
    backend.close().await;
    head
}

/// That the store and the table are whole as they were left, and that the projection goes on from there.
#[allow(dead_code, reason = "where stores are not left as they are")]
pub(crate) async fn assert_consistent(place: &str, told: &[Acknowledged], when: &str) {
    let backend = Backend::open(place).await.unwrap();
    let engine = backend.engine();
    let checkpoint = backend.checkpoint().await.unwrap();
    let events = all_events(&engine).await;
    assert_complete(&events, told, when);
    let jars = backend.jars().await.unwrap();
    assert_eq!(
        jars,
        expected_jars(&events, checkpoint),
        "{when}, as it was left"
    );
    let head = Position::new(events.len() as u64);
    let projections = backend.projections(&engine, CountJars::default());
    projections.wait_for(head).await.unwrap();
    let jars = backend.jars().await.unwrap();
    assert_eq!(
        jars,
        expected_jars(&events, head),
        "{when}, behind the restart"
    );
    projections.stop().await;
    backend.close().await;
}

/// The table, once each of `events` up to `through` has had its effect.
#[allow(dead_code, reason = "where stores are not left as they are")]
pub(crate) fn expected_jars(events: &[RecordedEvent], through: Position) -> Jars {
    let taken = events.iter().filter(|event| event.position <= through);
    replay(taken.map(|event| (event.stream.as_str(), event.position.get())))
}

/// The positions of each command's events, by its name.
///
/// No gap in the positions, nor in the versions of a stream; no command is there in part, or twice; everything in
/// `told` is where it was told to be.
#[allow(dead_code, reason = "where stores are not left as they are")]
pub(crate) fn assert_complete(
    events: &[RecordedEvent],
    told: &[Acknowledged],
    when: &str,
) -> HashMap<String, Vec<u64>> {
    let mut versions: HashMap<&str, u64> = HashMap::new();
    let mut ids = HashSet::new();
    let mut commands: HashMap<String, (u64, Vec<u64>)> = HashMap::new();
    for (event, expected) in events.iter().zip(1..) {
        let position = event.position.get();
        assert_eq!(position, expected, "{when}: a gap in the positions");
        let version = versions.entry(event.stream.as_str()).or_default();
        *version += 1;
        let stream = &event.stream;
        assert_eq!(event.version.get(), *version, "{when}: a gap in {stream}");
        assert!(ids.insert(event.id), "{when}: {} twice", event.id);
        let event: Recorded<JarEvent> = event.clone().try_into().unwrap();
        let JarEvent::Filled { command, count } = event.event;
        commands
            .entry(command)
            .or_insert((count, Vec::new()))
            .1
            .push(position);
    }
    for (command, (count, positions)) in &commands {
        let found = positions.len() as u64;
        assert!(
            found == *count && positions[0] + found - 1 == positions[positions.len() - 1],
            "{when}: {command} has {count} events, these are there: {positions:?}"
        );
    }
    for told in told {
        let found = commands.get(&told.command);
        let (count, positions) = found.unwrap_or_else(|| panic!("{when}: {told} is lost"));
        let last = positions.last();
        assert_eq!(
            (*count, last),
            (told.count, Some(&told.position)),
            "{when}: {told}"
        );
    }
    commands
        .into_iter()
        .map(|(command, (_, positions))| (command, positions))
        .collect()
}
