//! Customers and orders with personal data, and the backends that store them.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use factum::prelude::*;
use factum::privacy::{DocumentKeys, MasterKey, PersonalDataStore, Redacted};
use factum::store::async_trait;
use factum::store::{Query, Read, RecordedEvent};
use factum_memory::MemoryStore;
use factum_postgres::sqlx;
use factum_postgres::{PostgresOptions, PostgresStore};
use factum_sqlite::SqliteStore;
use factum_testkit::Backend;
use tempfile::TempDir;

use crate::server::Server;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "customer")]
pub(crate) enum CustomerEvent {
    Registered {
        #[personal]
        name: String,
        #[personal]
        email: Option<String>,
        plan: u32,
    },
    Moved {
        #[personal]
        to: Address,
    },
    Upgraded {
        plan: u32,
    },
}

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
pub(crate) enum OrderEvent {
    Placed {
        customer: String,
        total: u64,
        #[personal(subject = customer)]
        note: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) street: String,
    pub(crate) years: Option<u32>,
}

impl Redacted for Address {
    fn redacted() -> Self {
        Self {
            street: Redacted::redacted(),
            years: None,
        }
    }
}

#[derive(Aggregate, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(category = "customer", id = String, event = CustomerEvent, snapshot(every = 1))]
pub(crate) struct Customer {
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) street: String,
    pub(crate) plan: u32,
}

impl Apply<CustomerEvent> for Customer {
    fn apply(&mut self, event: &CustomerEvent) {
        match event.clone() {
            CustomerEvent::Registered { name, email, plan } => {
                (self.name, self.email, self.plan) = (name, email, plan);
            }
            CustomerEvent::Moved { to } => self.street = to.street,
            CustomerEvent::Upgraded { plan } => self.plan = plan,
        }
    }
}

#[derive(Aggregate, Debug, Clone, Default, PartialEq)]
#[aggregate(category = "order", id = u32, event = OrderEvent)]
pub(crate) struct Order {
    pub(crate) note: String,
    pub(crate) total: u64,
}

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, event: &OrderEvent) {
        let OrderEvent::Placed { note, total, .. } = event.clone();
        (self.note, self.total) = (note, total);
    }
}

/// Records an event of a customer.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Customer)]
pub(crate) struct Record {
    #[id]
    pub(crate) customer: String,
    pub(crate) event: CustomerEvent,
}

impl Decide for Record {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Customer) -> Result<Events<CustomerEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
pub(crate) struct Place {
    #[id]
    pub(crate) order: u32,
    pub(crate) customer: String,
    pub(crate) note: String,
}

impl Decide for Place {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
        let Self { customer, note, .. } = self.clone();
        let placed = OrderEvent::Placed {
            customer,
            note,
            total: 30,
        };
        Ok(placed.into())
    }
}

pub(crate) fn registered(name: &str) -> CustomerEvent {
    CustomerEvent::Registered {
        name: name.to_owned(),
        email: Some(format!("{name}@example.org")),
        plan: 3,
    }
}

pub(crate) fn record(customer: &str, event: CustomerEvent) -> Record {
    Record {
        customer: customer.to_owned(),
        event,
    }
}

pub(crate) fn place_order(order: u32, customer: &str, note: &str) -> Place {
    Place {
        order,
        customer: customer.to_owned(),
        note: note.to_owned(),
    }
}

pub(crate) fn master() -> MasterKey {
    MasterKey::new(&[7; 32])
}

pub(crate) type Encrypted<B> = PersonalDataStore<<B as Backend>::Store>;

/// Opens the store of `backend` like a new process would, with the keys in the same store.
pub(crate) async fn open<B: Backend>(backend: &B) -> Encrypted<B> {
    let keys = DocumentKeys::open(backend.open().await, master()).await;
    let store = PersonalDataStore::open(backend.open().await, keys.unwrap()).await;
    store.unwrap()
}

/// Returns all events as `store` reads them.
pub(crate) async fn all_events(store: &impl factum::store::EventStore) -> Vec<RecordedEvent> {
    let page = store.read(Read::all(Query::all())).await.unwrap();
    assert!(!page.more);
    page.events
}

/// A backend that returns all stored bytes.
#[async_trait]
pub(crate) trait StoredBytes: Backend {
    /// Returns all stored bytes.
    async fn stored_bytes(&self) -> Vec<u8>;
}

pub(crate) struct Memory(MemoryStore);

impl Backend for Memory {
    type Store = MemoryStore;

    async fn create() -> Self {
        Self(MemoryStore::new())
    }

    async fn open(&self) -> MemoryStore {
        self.0.clone()
    }
}

#[async_trait]
impl StoredBytes for Memory {
    async fn stored_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for event in all_events(&self.0).await {
            bytes.extend_from_slice(&event.data);
            bytes.extend(format!("{event:?}").into_bytes());
        }
        bytes
    }
}

pub(crate) struct File(TempDir);

impl Backend for File {
    type Store = SqliteStore;

    async fn create() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.0.path().join("people.db"))
            .await
            .unwrap()
    }
}

#[async_trait]
impl StoredBytes for File {
    async fn stored_bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.0.path()).unwrap();
        let bytes = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        bytes.collect::<Vec<_>>().concat()
    }
}

/// The URL of the server, which all tests of the process share. Each test has its own schema.
static SERVER: LazyLock<Option<String>> = LazyLock::new(|| {
    let server = Server::start()?;
    let url = server.url();
    // The server stops when the process ends.
    std::mem::forget(server);
    Some(url)
});
static SCHEMAS: AtomicU64 = AtomicU64::new(0);

pub(crate) struct Schema(PostgresOptions, String);

impl Backend for Schema {
    type Store = PostgresStore;

    fn available() -> bool {
        SERVER.is_some()
    }

    async fn create() -> Self {
        let server = SERVER.as_ref().unwrap();
        let schema = format!("people_{}", SCHEMAS.fetch_add(1, SeqCst));
        let options = PostgresOptions::new(server.parse().unwrap());
        Self(options.readers(2).schema(schema.clone()), schema)
    }

    async fn open(&self) -> PostgresStore {
        self.0.clone().open().await.unwrap()
    }
}

#[async_trait]
impl StoredBytes for Schema {
    async fn stored_bytes(&self) -> Vec<u8> {
        let store = self.open().await;
        let tables =
            "select table_name::text from information_schema.tables where table_schema = $1
            and table_type = 'BASE TABLE'";
        let tables: Vec<String> = sqlx::query_scalar(tables)
            .bind(&self.1)
            .fetch_all(store.pool())
            .await
            .unwrap();
        let mut bytes = Vec::new();
        for table in tables {
            // Byte columns are printed as hexadecimal digits, so snapshots are read as text.
            let data = match &*table {
                "snapshot" => "convert_from(t.data, 'UTF8')",
                _ => "t::text",
            };
            let all = format!("select {data} from \"{}\".\"{table}\" t", self.1);
            let all = sqlx::query_scalar(sqlx::AssertSqlSafe(all));
            let rows: Vec<String> = all.fetch_all(store.pool()).await.unwrap();
            bytes.extend(rows.concat().into_bytes());
        }
        bytes
    }
}

/// Runs the given tests on every kind of store.
macro_rules! on_every_store {
    ($($case:ident),* $(,)?) => {
        on_every_store!(memory: Memory, [$($case),*]);
        on_every_store!(sqlite: File, [$($case),*]);
        on_every_store!(postgres: Schema, [$($case),*]);
    };
    ($module:ident: $backend:ident, [$($case:ident),*]) => {
        mod $module {
            use factum_testkit::{Backend, conformance::harness::run};
            use crate::people::$backend;

            $(
                #[test]
                fn $case() {
                    if $backend::available() {
                        run(stringify!($case), super::$case::<$backend>);
                    }
                }
            )*
        }
    };
}
pub(crate) use on_every_store;
