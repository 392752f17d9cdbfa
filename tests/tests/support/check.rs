//! Invariants of a store, which must hold after any process was killed.

use std::collections::{HashMap, HashSet};

use factum::store::{Query, Read, RecordedEvent};
use factum::{Engine, Position, Recorded};
use factum_tests::backend::{Backend, CountJars, Jars, replay};
use factum_tests::load::{Acknowledged, JarEvent};

/// Returns all events of the store.
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

/// Returns the position of the last event.
#[allow(dead_code, reason = "not used by every test")]
pub(crate) async fn head(location: &str) -> u64 {
    let backend = Backend::open(location).await.unwrap();
    let head = backend.engine().store().watch().borrow().get();
    backend.close().await;
    head
}

/// Asserts that the store and the table are consistent, and that the projection continues from there.
#[allow(dead_code, reason = "not used by every test")]
pub(crate) async fn assert_consistent(location: &str, acknowledged: &[Acknowledged], when: &str) {
    let backend = Backend::open(location).await.unwrap();
    let engine = backend.engine();
    let checkpoint = backend.checkpoint().await.unwrap();
    let events = all_events(&engine).await;
    assert_complete(&events, acknowledged, when);
    let jars = backend.jars().await.unwrap();
    assert_eq!(
        jars,
        expected_jars(&events, checkpoint),
        "{when}: before the restart"
    );
    let head = Position::new(events.len() as u64);
    let runtime = backend
        .runtime(&engine, CountJars::default())
        .await
        .unwrap();
    runtime.wait_for(head).await.unwrap();
    let jars = backend.jars().await.unwrap();
    assert_eq!(
        jars,
        expected_jars(&events, head),
        "{when}: after the restart"
    );
    runtime.stop().await;
    backend.close().await;
}

/// Returns the expected rows of the table after the `events` up to `through`.
#[allow(dead_code, reason = "not used by every test")]
pub(crate) fn expected_jars(events: &[RecordedEvent], through: Position) -> Jars {
    let applied = events.iter().filter(|event| event.position <= through);
    replay(applied.map(|event| (event.stream.as_str(), event.position.get())))
}

/// Returns the positions of the events of each command.
///
/// Asserts that positions and versions have no gaps, that no command is stored in part or twice, and that all
/// `acknowledged` commands are stored at their positions.
#[allow(dead_code, reason = "not used by every test")]
pub(crate) fn assert_complete(
    events: &[RecordedEvent],
    acknowledged: &[Acknowledged],
    when: &str,
) -> HashMap<String, Vec<u64>> {
    let mut versions: HashMap<&str, u64> = HashMap::new();
    let mut ids = HashSet::new();
    let mut commands: HashMap<String, (u64, Vec<u64>)> = HashMap::new();
    for (event, expected) in events.iter().zip(1..) {
        let position = event.position.get();
        assert_eq!(position, expected, "{when}: gap in the positions");
        let version = versions.entry(event.stream.as_str()).or_default();
        *version += 1;
        let stream = &event.stream;
        assert_eq!(
            event.version.get(),
            *version,
            "{when}: gap in the versions of {stream}"
        );
        assert!(
            ids.insert(event.id),
            "{when}: duplicate event id {}",
            event.id
        );
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
            "{when}: {command} should have {count} adjacent events, but has the positions {positions:?}"
        );
    }
    for command in acknowledged {
        let found = commands.get(&command.command);
        let (count, positions) = found.unwrap_or_else(|| panic!("{when}: lost command {command}"));
        let last = positions.last();
        assert_eq!(
            (*count, last),
            (command.count, Some(&command.position)),
            "{when}: {command}"
        );
    }
    commands
        .into_iter()
        .map(|(command, (_, positions))| (command, positions))
        .collect()
}
