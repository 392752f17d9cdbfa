//! Personal data: sealed in every store, read by who holds the keys, gone for ever once its subject is forgotten.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/lines.rs"]
mod lines;
#[path = "support/people.rs"]
mod people;
#[path = "support/server.rs"]
mod server;

use std::time::Duration;

use factum::document::{MemoryDocuments, Revision};
use factum::prelude::*;
use factum::privacy::{DocumentKeys, KeyError, MasterKey, PersonalDataStore};
use factum::{
    AppendError, DeadLetterState, EventError, EventStore as _, FailurePolicy, InvalidAppend,
    Position, Query, ReadModel, Step, StepError, async_trait,
};
use factum_testkit::Backend;

use people::*;

on_every_store!(
    no_plain_text_is_stored,
    what_was_sealed_is_read_behind_a_restart,
    another_master_key_is_rejected_and_loses_nothing,
    keys_are_wrapped_with_a_new_master_key,
    a_forgotten_subject_is_redacted_and_no_other,
    nothing_new_is_taken_of_a_forgotten_subject,
    a_subject_that_never_had_a_key_can_be_forgotten,
    who_forgets_in_one_process_is_forgotten_in_all,
    a_store_without_the_wrapper_takes_no_personal_data,
    keys_may_live_elsewhere,
    what_errors_quote_is_forgotten,
);

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

async fn no_plain_text_is_stored<B: Bytes>() {
    let place = B::create().await;
    let engine = Engine::new(open(&place).await);
    let commands = [
        registered("Lovelace"),
        CustomerEvent::Moved {
            to: Address {
                street: "Piccadilly".to_owned(),
                years: Some(77_123),
            },
        },
        CustomerEvent::Upgraded { plan: 9 },
    ];
    for (number, event) in commands.into_iter().enumerate() {
        let command = engine.execute(record("17", event));
        let key = format!("request {number}");
        let receipt = command.idempotency_key(key).await.unwrap();
        // The one who did it sees what was done.
        let done = receipt.events()[0].decode::<CustomerEvent>().unwrap();
        assert!(!format!("{done:?}").contains("personal"));
    }
    let placed = engine.execute(place_order(1, "17", "behind the Babbage gate"));
    placed.await.unwrap();
    let customer = engine.load::<Customer>(&"17".to_owned()).await.unwrap();
    assert_eq!(
        (&*customer.name, &*customer.street),
        ("Lovelace", "Piccadilly")
    );
    let bytes = place.bytes().await;
    for secret in ["Lovelace", "Piccadilly", "Babbage", "77123"] {
        assert!(!contains(&bytes, secret), "{secret} is stored");
    }
    // What is looked through is what is stored.
    for known in ["$personal", "customer.upgraded", "customer-17"] {
        assert!(contains(&bytes, known), "{known} is not stored");
    }
}

async fn what_was_sealed_is_read_behind_a_restart<B: Bytes>() {
    let place = B::create().await;
    let engine = Engine::new(open(&place).await);
    let ada = engine
        .execute(record("17", registered("Ada")))
        .idempotency_key("a");
    let first = ada.await.unwrap();
    drop(engine);
    let engine = Engine::new(open(&place).await);
    let history = engine.history::<Customer>(&"17".to_owned()).await.unwrap();
    assert_eq!(history[0].event, registered("Ada"));
    let again = engine
        .execute(record("17", registered("Ada")))
        .idempotency_key("a");
    let again = again.await.unwrap();
    assert!(again.repeated());
    assert_eq!(again.position(), first.position());
    assert_eq!(again.events()[0].data, first.events()[0].data);
    let other = engine
        .execute(record("17", registered("Bob")))
        .idempotency_key("a");
    assert!(matches!(other.await, Err(ExecuteError::KeyReused { .. })));
}

async fn another_master_key_is_rejected_and_loses_nothing<B: Bytes>() {
    let place = B::create().await;
    let engine = Engine::new(open(&place).await);
    engine
        .execute(record("17", registered("Ada")))
        .await
        .unwrap();
    let before = place.bytes().await;
    let wrong = DocumentKeys::open(place.open().await, MasterKey::new(&[8; 32])).await;
    assert!(matches!(wrong, Err(KeyError::WrongMasterKey)));
    assert_eq!(place.bytes().await.len(), before.len());
    let engine = Engine::new(open(&place).await);
    let customer = engine.load::<Customer>(&"17".to_owned()).await.unwrap();
    assert_eq!(customer.name, "Ada");
}

async fn keys_are_wrapped_with_a_new_master_key<B: Bytes>() {
    let place = B::create().await;
    let store = open(&place).await;
    let engine = Engine::new(store.clone());
    for id in ["17", "18"] {
        engine.execute(record(id, registered(id))).await.unwrap();
    }
    let since = store.forget("18").await.unwrap().since;
    let new = MasterKey::new(&[9; 32]);
    let keys = DocumentKeys::open(place.open().await, master())
        .await
        .unwrap();
    keys.rewrap(new.clone()).await.unwrap();
    let old = DocumentKeys::open(place.open().await, master()).await;
    assert!(matches!(old, Err(KeyError::WrongMasterKey)));
    let keys = DocumentKeys::open(place.open().await, new).await.unwrap();
    let store = PersonalDataStore::new(place.open().await, keys);
    let names: Vec<_> = everything(&store).await.iter().map(name).collect();
    assert_eq!(names, ["17", "[redacted]"]);
    assert_eq!(store.forget("18").await.unwrap().since, since);
}

fn name(event: &factum::RecordedEvent) -> String {
    match event.decode().unwrap() {
        CustomerEvent::Registered { name, .. } => name,
        other => panic!("{other:?}"),
    }
}

async fn a_forgotten_subject_is_redacted_and_no_other<B: Bytes>() {
    let place = B::create().await;
    let store = open(&place).await;
    let engine = Engine::new(store.clone());
    for id in ["17", "18"] {
        engine.execute(record(id, registered(id))).await.unwrap();
        let to = Address {
            street: format!("street of {id}"),
            years: Some(1),
        };
        let moved = CustomerEvent::Moved { to };
        engine.execute(record(id, moved)).await.unwrap();
    }
    for (order, id) in [(1, "17"), (2, "18"), (3, "17")] {
        let note = format!("note of {id}");
        engine.execute(place_order(order, id, &note)).await.unwrap();
    }
    let before = everything(&store).await;

    let forgotten = store.forget("17").await.unwrap();
    engine.evict(&forgotten.streams);

    let streams: Vec<_> = forgotten
        .streams
        .iter()
        .map(factum::StreamId::as_str)
        .collect();
    assert_eq!(streams, ["customer-17", "order-1", "order-3"]);
    assert_eq!(forgotten.events, 4);
    let names: Vec<_> = forgotten.names.iter().map(|name| &**name).collect();
    assert_eq!(
        names,
        ["customer.moved", "customer.registered", "order.placed"]
    );

    let after = everything(&store).await;
    assert_eq!(after.len(), before.len());
    for (before, after) in before.iter().zip(&after) {
        let is_theirs = forgotten.streams.contains(&after.stream);
        assert_eq!(before.data == after.data, !is_theirs, "{}", after.stream);
    }
    let ada = engine.load::<Customer>(&"17".to_owned()).await.unwrap();
    let redacted = Customer {
        name: "[redacted]".to_owned(),
        email: None,
        street: "[redacted]".to_owned(),
        plan: 3,
    };
    assert_eq!(*ada, redacted);
    let bob = engine.load::<Customer>(&"18".to_owned()).await.unwrap();
    assert_eq!(bob.street, "street of 18");
    let order = engine.load::<Order>(&1).await.unwrap();
    assert_eq!((&*order.note, order.total), ("[redacted]", 30));
    // A second time changes nothing.
    assert_eq!(store.forget("17").await.unwrap(), forgotten);
}

async fn nothing_new_is_taken_of_a_forgotten_subject<B: Bytes>() {
    let place = B::create().await;
    let store = open(&place).await;
    let engine = Engine::new(store.clone());
    engine
        .execute(record("customer 17", registered("Ada")))
        .await
        .unwrap();
    let since = store.forget("customer 17").await.unwrap().since;
    let rejected = engine.execute(place_order(1, "customer 17", "Ada's")).await;
    let rejected = match rejected {
        Err(ExecuteError::InvalidAppend(rejected)) => rejected,
        other => panic!("{other:?}"),
    };
    let expected = InvalidAppend::Forgotten {
        name: "order.placed".to_owned(),
        field: "note",
        since,
    };
    assert_eq!(rejected, expected);
    assert!(!rejected.to_string().contains("customer 17"), "{rejected}");
    // What holds nothing of the subject is taken: no data, and what is redacted already.
    let upgraded = CustomerEvent::Upgraded { plan: 4 };
    engine
        .execute(record("customer 17", upgraded))
        .await
        .unwrap();
    engine
        .execute(place_order(1, "customer 17", "[redacted]"))
        .await
        .unwrap();
    assert_eq!(everything(&store).await.len(), 3);
}

async fn a_subject_that_never_had_a_key_can_be_forgotten<B: Bytes>() {
    let place = B::create().await;
    let store = open(&place).await;
    let forgotten = store.forget("17").await.unwrap();
    assert_eq!((forgotten.events, forgotten.streams.len()), (0, 0));
    let engine = Engine::new(store);
    let rejected = engine.execute(record("17", registered("Ada"))).await;
    assert!(matches!(
        rejected,
        Err(ExecuteError::InvalidAppend(InvalidAppend::Forgotten { .. }))
    ));
}

async fn who_forgets_in_one_process_is_forgotten_in_all<B: Bytes>() {
    let place = B::create().await;
    let (here, there) = (open(&place).await, open(&place).await);
    let engine = Engine::new(there.clone());
    engine
        .execute(record("17", registered("Ada")))
        .await
        .unwrap();
    assert_eq!(name(&everything(&there).await[0]), "Ada");
    let evict = there
        .clone()
        .evict_forgotten(engine.clone(), std::time::Duration::from_millis(5));
    let evict = tokio::spawn(evict);
    let id = "17".to_owned();
    assert_eq!(engine.load::<Customer>(&id).await.unwrap().name, "Ada");
    let _ = here.forget("17").await.unwrap();
    // The very next read.
    assert_eq!(name(&everything(&there).await[0]), "[redacted]");
    let rejected = there_registers(&engine).await;
    assert!(matches!(rejected, InvalidAppend::Forgotten { .. }));
    // A warm state goes a moment later.
    while engine.load::<Customer>(&id).await.unwrap().name == "Ada" {
        tokio::task::yield_now().await;
    }
    evict.abort();
}

async fn there_registers(engine: &Engine) -> InvalidAppend {
    match engine.execute(record("17", registered("Eve"))).await {
        Err(ExecuteError::InvalidAppend(rejected)) => rejected,
        other => panic!("{other:?}"),
    }
}

async fn a_store_without_the_wrapper_takes_no_personal_data<B: Bytes>() {
    let place = B::create().await;
    let engine = Engine::new(place.open().await);
    let rejected = engine.execute(record("17", registered("Ada"))).await;
    let expected = InvalidAppend::Personal {
        name: "customer.registered".to_owned(),
        field: "name",
    };
    assert!(matches!(rejected, Err(ExecuteError::InvalidAppend(rejected)) if rejected == expected));
    let upgraded = CustomerEvent::Upgraded { plan: 4 };
    engine.execute(record("17", upgraded)).await.unwrap();
}

/// Takes nothing, and says of whom.
struct Talkative;

#[async_trait]
impl ReadModel for Talkative {
    fn name(&self) -> &str {
        "talkative"
    }

    fn version(&self) -> u32 {
        1
    }

    fn query(&self) -> Query {
        Query::all()
    }

    async fn project(&self, step: Step<'_>) -> Result<Revision, StepError> {
        let event = &step.events[0];
        let said = String::from_utf8_lossy(&event.data).into_owned();
        Err(EventError::new(event.position, said).into())
    }
}

async fn what_errors_quote_is_forgotten<B: Bytes>() {
    let place = B::create().await;
    let store = open(&place).await;
    let engine = Engine::new(store.clone());
    for (customer, name) in [("17", "Ada"), ("18", "Bob")] {
        let recorded = engine.execute(record(customer, registered(name)));
        recorded.await.unwrap();
    }
    let projections = Projections::builder(&engine)
        .with_failures(Talkative, FailurePolicy::Skip)
        .retry(factum::RetryPolicy {
            attempts: 1,
            base: Duration::ZERO,
            cap: Duration::ZERO,
        })
        .start();
    projections.wait_for(Position::new(2)).await.unwrap();
    let said = async |index: usize| {
        let letters = projections.dead_letters("talkative").await.unwrap();
        match letters[index].state.clone() {
            DeadLetterState::Skipped { error } => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(said(0).await.contains("Ada"));
    let _ = store.forget("17").await.unwrap();
    assert_eq!(said(0).await, "[forgotten]");
    assert!(said(1).await.contains("Bob"));
    projections.stop().await;
}

async fn keys_may_live_elsewhere<B: Bytes>() {
    let place = B::create().await;
    let elsewhere = File::create().await;
    let keys = async || {
        DocumentKeys::open(elsewhere.open().await, master())
            .await
            .unwrap()
    };
    let store = PersonalDataStore::new(place.open().await, keys().await);
    let engine = Engine::new(store);
    engine
        .execute(record("17", registered("Ada")))
        .await
        .unwrap();
    assert!(!contains(&place.bytes().await, "personal/key"));
    let store = PersonalDataStore::new(place.open().await, keys().await);
    assert_eq!(name(&everything(&store).await[0]), "Ada");
    // Lost keys are no forgotten subject.
    let lost = DocumentKeys::open(MemoryDocuments::new(), master())
        .await
        .unwrap();
    let lost = PersonalDataStore::new(place.open().await, lost);
    let read = everything(&lost).await.remove(0);
    let error = read.decode::<CustomerEvent>().unwrap_err();
    assert_eq!(
        error.kind.to_string(),
        "`name` is sealed with a key that is neither here nor forgotten"
    );
    let taken = lost.append(factum::Append::default()).await;
    assert!(!matches!(taken, Err(AppendError::Store(_))));
}
