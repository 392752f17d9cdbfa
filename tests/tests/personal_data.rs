//! Personal data: encrypted in every store, and unreadable after its data subject is erased.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/lines.rs"]
mod lines;
#[path = "support/people.rs"]
mod people;
#[path = "support/server.rs"]
mod server;

use std::time::Duration;

use factum::Position;
use factum::prelude::*;
use factum::privacy::{DocumentKeys, KeyError, MasterKey, PersonalDataStore};
use factum::runtime::{
    Batch, BatchError, Consumer, DeadLetterState, EventError, FailurePolicy, ReadModel,
};
use factum::store::{
    Append, AppendError, DocumentChanges, DocumentStore, EventStore as _, ExpectedVersion,
    InvalidAppend, MemoryDocuments, NewEvent, Query, Read, Revision, Scan,
};
use factum_memory::MemoryStore;
use factum_testkit::Backend;

use people::*;

on_every_store!(
    personal_data_is_never_stored_in_plain_text,
    encrypted_data_is_readable_after_restart,
    wrong_master_key_is_rejected_without_data_loss,
    rewrap_replaces_master_key,
    erasure_redacts_only_its_subject,
    append_rejects_personal_data_of_erased_subject,
    subject_without_key_can_be_erased,
    erasure_reaches_other_processes,
    store_without_encryption_rejects_personal_data,
    keys_can_live_in_another_store,
    erasure_redacts_recorded_errors,
);

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

async fn personal_data_is_never_stored_in_plain_text<B: StoredBytes>() {
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
        // The receipt contains the decrypted events.
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
    let bytes = place.stored_bytes().await;
    for secret in ["Lovelace", "Piccadilly", "Babbage", "77123"] {
        assert!(!contains(&bytes, secret), "{secret} is stored");
    }
    // Proves that the search works: other parts of the events are found.
    for expected in ["$personal", "customer.upgraded", "customer-17"] {
        assert!(contains(&bytes, expected), "{expected} is not stored");
    }
}

async fn encrypted_data_is_readable_after_restart<B: StoredBytes>() {
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

async fn wrong_master_key_is_rejected_without_data_loss<B: StoredBytes>() {
    let place = B::create().await;
    let engine = Engine::new(open(&place).await);
    engine
        .execute(record("17", registered("Ada")))
        .await
        .unwrap();
    let before = place.stored_bytes().await;
    let wrong = DocumentKeys::open(place.open().await, MasterKey::new(&[8; 32])).await;
    assert!(matches!(wrong, Err(KeyError::WrongMasterKey)));
    assert_eq!(place.stored_bytes().await.len(), before.len());
    let engine = Engine::new(open(&place).await);
    let customer = engine.load::<Customer>(&"17".to_owned()).await.unwrap();
    assert_eq!(customer.name, "Ada");
}

async fn rewrap_replaces_master_key<B: StoredBytes>() {
    let place = B::create().await;
    let store = open(&place).await;
    let engine = Engine::new(store.clone());
    for id in ["17", "18"] {
        engine.execute(record(id, registered(id))).await.unwrap();
    }
    let since = store.erase("18").await.unwrap().since;
    let new = MasterKey::new(&[9; 32]);
    let keys = DocumentKeys::open(place.open().await, master())
        .await
        .unwrap();
    keys.rewrap(new.clone()).await.unwrap();
    let old = DocumentKeys::open(place.open().await, master()).await;
    assert!(matches!(old, Err(KeyError::WrongMasterKey)));
    let keys = DocumentKeys::open(place.open().await, new).await.unwrap();
    let store = PersonalDataStore::open(place.open().await, keys)
        .await
        .unwrap();
    let names: Vec<_> = all_events(&store).await.iter().map(name).collect();
    assert_eq!(names, ["17", "[redacted]"]);
    assert_eq!(store.erase("18").await.unwrap().since, since);
}

fn name(event: &factum::store::RecordedEvent) -> String {
    match event.decode().unwrap() {
        CustomerEvent::Registered { name, .. } => name,
        other => panic!("{other:?}"),
    }
}

async fn erasure_redacts_only_its_subject<B: StoredBytes>() {
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
    let before = all_events(&store).await;

    let erased = store.erase("17").await.unwrap();
    engine.evict(&erased.streams);

    let streams: Vec<_> = erased
        .streams
        .iter()
        .map(factum::StreamId::as_str)
        .collect();
    assert_eq!(streams, ["customer-17", "order-1", "order-3"]);
    assert_eq!(erased.events, 4);
    let names: Vec<_> = erased.event_types.iter().map(|name| &**name).collect();
    assert_eq!(
        names,
        ["customer.moved", "customer.registered", "order.placed"]
    );

    let after = all_events(&store).await;
    assert_eq!(after.len(), before.len());
    for (before, after) in before.iter().zip(&after) {
        let is_erased = erased.streams.contains(&after.stream);
        assert_eq!(before.data == after.data, !is_erased, "{}", after.stream);
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
    // A second erasure changes nothing.
    assert_eq!(store.erase("17").await.unwrap(), erased);
}

async fn append_rejects_personal_data_of_erased_subject<B: StoredBytes>() {
    let place = B::create().await;
    let store = open(&place).await;
    let engine = Engine::new(store.clone());
    engine
        .execute(record("customer 17", registered("Ada")))
        .await
        .unwrap();
    let since = store.erase("customer 17").await.unwrap().since;
    let rejected = engine.execute(place_order(1, "customer 17", "Ada's")).await;
    let rejected = match rejected {
        Err(ExecuteError::InvalidAppend(rejected)) => rejected,
        other => panic!("{other:?}"),
    };
    let expected = InvalidAppend::Erased {
        name: "order.placed".to_owned(),
        field: "note",
        since,
    };
    assert_eq!(rejected, expected);
    assert!(!rejected.to_string().contains("customer 17"), "{rejected}");
    // Events without personal data, and with data that is already redacted, are accepted.
    let upgraded = CustomerEvent::Upgraded { plan: 4 };
    engine
        .execute(record("customer 17", upgraded))
        .await
        .unwrap();
    engine
        .execute(place_order(1, "customer 17", "[redacted]"))
        .await
        .unwrap();
    assert_eq!(all_events(&store).await.len(), 3);
}

async fn subject_without_key_can_be_erased<B: StoredBytes>() {
    let place = B::create().await;
    let store = open(&place).await;
    let erased = store.erase("17").await.unwrap();
    assert_eq!((erased.events, erased.streams.len()), (0, 0));
    let engine = Engine::new(store);
    let rejected = engine.execute(record("17", registered("Ada"))).await;
    assert!(matches!(
        rejected,
        Err(ExecuteError::InvalidAppend(InvalidAppend::Erased { .. }))
    ));
}

async fn erasure_reaches_other_processes<B: StoredBytes>() {
    let place = B::create().await;
    let (here, there) = (open(&place).await, open(&place).await);
    let engine = Engine::new(there.clone());
    engine
        .execute(record("17", registered("Ada")))
        .await
        .unwrap();
    assert_eq!(name(&all_events(&there).await[0]), "Ada");
    let evict = there
        .clone()
        .evict_erased(engine.clone(), std::time::Duration::from_millis(5));
    let evict = tokio::spawn(evict);
    let id = "17".to_owned();
    assert_eq!(engine.load::<Customer>(&id).await.unwrap().name, "Ada");
    let _ = here.erase("17").await.unwrap();
    // The erasure applies to the next read.
    assert_eq!(name(&all_events(&there).await[0]), "[redacted]");
    let rejected = rejected_registration(&engine).await;
    assert!(matches!(rejected, InvalidAppend::Erased { .. }));
    // Cached state is evicted shortly after.
    while engine.load::<Customer>(&id).await.unwrap().name == "Ada" {
        tokio::task::yield_now().await;
    }
    evict.abort();
}

/// Registers a customer and returns the reason why the append was rejected.
async fn rejected_registration(engine: &Engine) -> InvalidAppend {
    match engine.execute(record("17", registered("Eve"))).await {
        Err(ExecuteError::InvalidAppend(rejected)) => rejected,
        other => panic!("{other:?}"),
    }
}

async fn store_without_encryption_rejects_personal_data<B: StoredBytes>() {
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

/// A read model that fails on every event with an error that quotes the event's data.
struct QuotingErrors;

impl Consumer for QuotingErrors {
    fn name(&self) -> &str {
        "quoting-errors"
    }

    fn query(&self) -> Query {
        Query::all()
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        let event = &batch.events[0];
        let quoted = String::from_utf8_lossy(&event.data).into_owned();
        Err(EventError::handler(event.position, quoted).into())
    }
}

impl ReadModel for QuotingErrors {
    fn version(&self) -> u32 {
        1
    }
}

async fn erasure_redacts_recorded_errors<B: StoredBytes>() {
    let place = B::create().await;
    let store = open(&place).await;
    let engine = Engine::new(store.clone());
    for (customer, name) in [("17", "Ada"), ("18", "Bob")] {
        let recorded = engine.execute(record(customer, registered(name)));
        recorded.await.unwrap();
    }
    let runtime = Runtime::builder(&engine)
        .projection_with(QuotingErrors, FailurePolicy::Skip)
        .retry(factum::engine::RetryPolicy {
            attempts: 1,
            base: Duration::ZERO,
            cap: Duration::ZERO,
        })
        .start()
        .await
        .unwrap();
    runtime.wait_for(Position::new(2)).await.unwrap();
    let handle = runtime.projection_named("quoting-errors").unwrap();
    let error = async |index: usize| {
        let entries = handle.dead_letters().await.unwrap();
        match entries[index].state.clone() {
            DeadLetterState::Skipped { error } => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(error(0).await.contains("Ada"));
    let _ = store.erase("17").await.unwrap();
    assert_eq!(error(0).await, "[erased]");
    assert!(error(1).await.contains("Bob"));
    runtime.stop().await;
}

async fn keys_can_live_in_another_store<B: StoredBytes>() {
    let place = B::create().await;
    let key_store = File::create().await;
    let keys = async || {
        DocumentKeys::open(key_store.open().await, master())
            .await
            .unwrap()
    };
    let store = PersonalDataStore::open(place.open().await, keys().await)
        .await
        .unwrap();
    let engine = Engine::new(store);
    engine
        .execute(record("17", registered("Ada")))
        .await
        .unwrap();
    assert!(!contains(&place.stored_bytes().await, "personal/key/"));
    let store = PersonalDataStore::open(place.open().await, keys().await)
        .await
        .unwrap();
    assert_eq!(name(&all_events(&store).await[0]), "Ada");
    // An empty key store, for example by a mistake in its path, neither encrypts nor erases anything.
    let empty = DocumentKeys::open(MemoryDocuments::new(), master()).await;
    let opened = PersonalDataStore::open(place.open().await, empty.unwrap()).await;
    assert!(matches!(opened, Err(KeyError::OtherKeyStore)));
    // A lost key is reported as an error, not as an erased subject.
    delete_key(&key_store.open().await).await;
    let lost = PersonalDataStore::open(place.open().await, keys().await);
    let lost = lost.await.unwrap();
    let event = all_events(&lost).await.remove(0);
    let error = event.decode::<CustomerEvent>().unwrap_err();
    assert_eq!(
        error.kind.to_string(),
        "field `name` cannot be decrypted: its key is missing and was not erased"
    );
    let appended = lost.append(factum::store::Append::default()).await;
    assert!(!matches!(appended, Err(AppendError::Store(_))));
}

/// Deletes the only key.
async fn delete_key(documents: &impl DocumentStore) {
    let scan = Scan::prefix("personal/key/");
    let keys = documents.scan_documents(scan).await.unwrap();
    let delete = DocumentChanges::new().delete(&keys[0].key);
    documents.change_documents(delete).await.unwrap();
}

#[tokio::test]
async fn encrypted_events_of_a_copied_log_need_their_keys() {
    let log = MemoryStore::new();
    let keys = MemoryDocuments::new();
    let opened = DocumentKeys::open(keys, master()).await.unwrap();
    let store = PersonalDataStore::open(log.clone(), opened).await.unwrap();
    let engine = Engine::new(store);
    let registered = engine.execute(record("17", registered("Ada")));
    registered.await.unwrap();
    // The copy has the events, but not the documents.
    let copy = MemoryStore::new();
    for event in log.read(Read::all(Query::all())).await.unwrap().events {
        let (stream, event) = (event.stream.clone(), NewEvent::from(event));
        let append = Append::stream(stream, ExpectedVersion::Any, vec![event]);
        copy.append(append).await.unwrap();
    }
    let empty = DocumentKeys::open(MemoryDocuments::new(), master()).await;
    let opened = PersonalDataStore::open(copy, empty.unwrap()).await;
    assert!(matches!(opened, Err(KeyError::OtherKeyStore)), "{opened:?}");
}
