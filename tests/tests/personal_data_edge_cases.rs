//! Personal data during a crash, a rebuild, or a change of the event schema.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

use factum::prelude::*;
use factum::privacy::{DocumentKeys, MasterKey, PersonalDataStore};
use factum::store::StoreError;
use factum::store::async_trait;
use factum::store::{Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan};
use factum_memory::MemoryStore;
use tokio::sync::watch;

/// Defines the same stored event with and without a personal field.
macro_rules! customer {
    ($module:ident: $(#[$personal:ident])?) => {
        mod $module {
            use factum::prelude::*;

            #[derive(Event, Debug, Clone, Serialize, Deserialize)]
            #[event(prefix = "customer")]
            pub(super) enum CustomerEvent {
                Named {
                    $(#[$personal])?
                    name: String,
                },
            }

            #[derive(Aggregate, Debug, Clone, Default)]
            #[aggregate(category = "customer", id = String, event = CustomerEvent)]
            pub(super) struct Customer {
                pub(super) names: Vec<String>,
            }

            impl Apply<CustomerEvent> for Customer {
                fn apply(&mut self, event: &CustomerEvent) {
                    let CustomerEvent::Named { name } = event;
                    self.names.push(name.clone());
                }
            }

            #[derive(Command, Debug, Clone, Serialize, Deserialize)]
            #[command(on = Customer)]
            pub(super) struct Call {
                #[id]
                pub(super) customer: String,
                pub(super) name: String,
            }

            impl Decide for Call {
                type Error = std::convert::Infallible;
                fn decide(&self, _: &Customer) -> Result<Events<CustomerEvent>, Self::Error> {
                    let name = self.name.clone();
                    Ok(CustomerEvent::Named { name }.into())
                }
            }
        }
    };
}

customer!(plain:);
customer!(personal: #[personal]);

fn call(customer: &str, name: &str) -> personal::Call {
    let (customer, name) = (customer.to_owned(), name.to_owned());
    personal::Call { customer, name }
}

async fn open(store: &MemoryStore, master: u8) -> PersonalDataStore<MemoryStore> {
    let master = MasterKey::new(&[master; 32]);
    let keys = DocumentKeys::open(store.clone(), master).await.unwrap();
    PersonalDataStore::open(store.clone(), keys).await.unwrap()
}

#[tokio::test]
async fn field_can_become_personal_and_plain_again() {
    let store = MemoryStore::new();
    let ada = "17".to_owned();
    let append_plain = async |name: &str| {
        let engine = Engine::new(open(&store, 1).await);
        let (customer, name) = (ada.clone(), name.to_owned());
        engine
            .execute(plain::Call { customer, name })
            .await
            .unwrap();
    };
    append_plain("before").await;
    let engine = Engine::new(open(&store, 1).await);
    engine.execute(call(&ada, "encrypted")).await.unwrap();
    append_plain("after").await;
    let read = async || {
        let engine = Engine::new(open(&store, 1).await);
        let personal = engine.load::<personal::Customer>(&ada).await.unwrap();
        let plain = engine.load::<plain::Customer>(&ada).await.unwrap();
        assert_eq!(personal.names, plain.names);
        personal.names.clone()
    };
    assert_eq!(read().await, ["before", "encrypted", "after"]);
    // Data that was never encrypted stays.
    let _ = open(&store, 1).await.erase(&ada).await.unwrap();
    assert_eq!(read().await, ["before", "[redacted]", "after"]);
}

/// A document store that fails after a number of changes.
struct Crashing {
    documents: MemoryStore,
    remaining: AtomicU64,
}

#[async_trait]
impl DocumentStore for Crashing {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        let decrement = |remaining: u64| remaining.checked_sub(1);
        let remaining = self.remaining.fetch_update(SeqCst, SeqCst, decrement);
        if remaining.is_err() {
            return Err(StoreError::Interrupted("crashed".into()).into());
        }
        self.documents.change_documents(changes).await
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        self.documents.find_documents(keys).await
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        self.documents.scan_documents(scan).await
    }
}

#[tokio::test]
async fn interrupted_rewrap_can_be_repeated() {
    let (old, new) = (MasterKey::new(&[1; 32]), MasterKey::new(&[2; 32]));
    for changes in 0..4 {
        let store = MemoryStore::new();
        let engine = Engine::new(open(&store, 1).await);
        // More keys than one rewrap batch holds.
        for batch in 0..6 {
            let calls = (0..200).map(|index| {
                let id = (batch * 200 + index).to_string();
                engine.execute(call(&id, &id)).into_future()
            });
            futures_util::future::try_join_all(calls).await.unwrap();
        }
        let since = open(&store, 1).await.erase("3").await.unwrap().since;
        let crashing = Crashing {
            documents: store.clone(),
            remaining: AtomicU64::new(changes),
        };
        let keys = DocumentKeys::open(crashing, old.clone()).await.unwrap();
        let crashed = keys.rewrap(new.clone()).await.is_err();
        assert_eq!(crashed, changes < 3, "after {changes} changes");
        if crashed {
            let keys = DocumentKeys::open(store.clone(), old.clone()).await;
            let _keys = keys.unwrap().rewrap(new.clone()).await.unwrap();
        }
        let rewrapped = open(&store, 2).await;
        let engine = Engine::new(rewrapped.clone());
        for id in ["0", "999", "1199"] {
            let found = engine.load::<personal::Customer>(&id.to_owned()).await;
            assert_eq!(found.unwrap().names, [id]);
        }
        let found = engine.load::<personal::Customer>(&"3".to_owned()).await;
        assert_eq!(found.unwrap().names, ["[redacted]"]);
        assert_eq!(rewrapped.erase("3").await.unwrap().since, since);
    }
}

/// All names, with a gate that can block the projection in the middle of a batch.
#[derive(Projection)]
#[projection(name = "names", events = personal::CustomerEvent)]
struct Names {
    names: Vec<String>,
    gate: Gate,
}

/// Blocks the projection at the next event until it is opened.
#[derive(Clone)]
struct Gate {
    closed: Arc<AtomicBool>,
    reached: Arc<watch::Sender<bool>>,
    open: Arc<Barrier>,
}

impl Project<personal::CustomerEvent> for Names {
    fn project(&mut self, event: &Recorded<personal::CustomerEvent>) {
        let personal::CustomerEvent::Named { name } = &event.event;
        if self.gate.closed.swap(false, SeqCst) {
            self.gate.reached.send_replace(true);
            self.gate.open.wait();
        }
        self.names.push(name.clone());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn erasure_during_rebuild_reaches_next_build() {
    let store = open(&MemoryStore::new(), 1).await;
    let engine = Engine::new(store.clone());
    engine.execute(call("16", "Bob")).await.unwrap();
    let last = engine.execute(call("17", "Ada")).await.unwrap();
    let gate = Gate {
        closed: Arc::default(),
        reached: Arc::default(),
        open: Arc::new(Barrier::new(2)),
    };
    let model_gate = gate.clone();
    let model = InMemory::from_fn(move || Names {
        names: Vec::new(),
        gate: model_gate.clone(),
    });
    let runtime = Runtime::builder(&engine)
        .projection(model.clone())
        .start()
        .await
        .unwrap();
    runtime.wait_for(last.position()).await.unwrap();
    let handle = runtime.projection::<Names>().unwrap();
    gate.closed.store(true, SeqCst);
    let mut reached = gate.reached.subscribe();
    let erase = async {
        reached.wait_for(|reached| *reached).await.unwrap();
        // A page of the running build holds the name in plain text.
        let first = store.erase("17").await.unwrap();
        let second = store.erase("17").await.unwrap();
        assert_eq!(first, second);
        tokio::task::block_in_place(|| gate.open.wait());
        handle.rebuild().await.unwrap();
    };
    let (running, ()) = tokio::join!(handle.rebuild(), erase);
    running.unwrap();
    let names = model.read(|model| model.names.clone());
    assert_eq!(names, ["Bob", "[redacted]"]);
    assert!(engine.execute(call("17", "Ada")).await.is_err());
    runtime.stop().await;
}
