//! Appends whose stream is deleted between the check of its settings and the append to the store.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use event_store::access::Stores;
use event_store::server::serve;
use event_store::serving::Serving;
use factum::store::{
    Append, AppendError, Appended, ContentType, EventStore, ExpectedVersion, IdempotencyKey,
    NewEvent, Page, Position, Read, StoreError, async_trait, new_event_id,
};
use factum_compatible_protocols::kurrentdb::client::Empty;
use factum_compatible_protocols::kurrentdb::client::streams::append_req::options::ExpectedStreamRevision as Expected;
use factum_compatible_protocols::kurrentdb::client::streams::append_resp::Result as AppendResult;
use factum_compatible_protocols::kurrentdb::client::streams::streams_client::StreamsClient;
use factum_compatible_protocols::kurrentdb::client::streams::{
    AppendReq, AppendResp, DeleteReq, TombstoneReq, delete_req, tombstone_req,
};
use factum_memory::MemoryStore;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio_stream::iter;
use tonic::Status;
use tonic::transport::Channel;

use crate::client::{event, name, options, trailer};

/// The place at which the next append waits.
struct Gate {
    reached: oneshot::Sender<()>,
    resume: oneshot::Receiver<()>,
}

/// A store whose next append waits at a gate, and that counts appends.
#[derive(Clone)]
struct GatedStore {
    store: MemoryStore,
    gate: Arc<Mutex<Option<Gate>>>,
    appends: Arc<AtomicUsize>,
}

#[async_trait]
impl EventStore for GatedStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let gate = self.gate.lock().unwrap().take();
        if let Some(gate) = gate {
            gate.reached.send(()).unwrap();
            gate.resume.await.unwrap();
        }
        self.appends.fetch_add(1, SeqCst);
        self.store.append(append).await
    }

    async fn read(&self, read: Read) -> Result<Page, StoreError> {
        self.store.read(read).await
    }

    async fn find(&self, key: &IdempotencyKey) -> Result<Option<Appended>, AppendError> {
        self.store.find(key).await
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.store.watch()
    }
}

factum::store::delegate!(snapshots, [] GatedStore, |this| this.store);
factum::store::delegate!(documents, [] GatedStore, |this| this.store);

type Client = StreamsClient<Channel>;

/// Starts a server in this process, which ends with the runtime of the test.
async fn start(store: &GatedStore) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = watch::channel(false);
    let stores = Stores::unprotected(Arc::new(store.clone()));
    tokio::spawn(async move {
        let _stop = stop;
        let serving = Serving::new(stores, "test", stopped);
        serve(vec![listener], serving).await.unwrap();
    });
    Client::connect(url).await.unwrap()
}

async fn append(
    mut client: Client,
    stream: &'static str,
    expected: Expected,
    number: u128,
) -> Result<AppendResp, Status> {
    let messages = [options(stream, expected), event(number)];
    let messages = messages.map(|content| AppendReq {
        content: Some(content),
    });
    Ok(client.append(iter(messages)).await?.into_inner())
}

/// Lets an append pass the check of the settings, removes the stream, and returns the result of the append.
async fn append_during(
    store: &GatedStore,
    client: &Client,
    (stream, expected): (&'static str, Expected),
    removal: impl AsyncFnOnce(Client),
) -> Result<AppendResp, Status> {
    let (reached, is_reached) = oneshot::channel();
    let (resume, is_resumed) = oneshot::channel();
    let gate = Gate {
        reached,
        resume: is_resumed,
    };
    *store.gate.lock().unwrap() = Some(gate);
    let append = tokio::spawn(append(client.clone(), stream, expected, 99));
    is_reached.await.unwrap();
    removal(client.clone()).await;
    resume.send(()).unwrap();
    append.await.unwrap()
}

fn gated() -> GatedStore {
    GatedStore {
        store: MemoryStore::new(),
        gate: Arc::default(),
        appends: Arc::default(),
    }
}

#[tokio::test]
async fn append_never_follows_a_concurrent_tombstone() {
    let store = gated();
    let client = start(&store).await;
    for (stream, expected) in [
        ("hive-1", Expected::Any(Empty {})),
        ("hive-2", Expected::StreamExists(Empty {})),
        ("hive-3", Expected::Revision(0)),
        ("hive-4", Expected::Any(Empty {})),
    ] {
        // The last stream does not exist.
        let has_events = stream != "hive-4";
        if has_events {
            let number = u128::from(stream.as_bytes()[5]);
            append(client.clone(), stream, Expected::Any(Empty {}), number)
                .await
                .unwrap();
        }
        let tombstone = async |mut client: Client| {
            let revision = tombstone_req::options::ExpectedStreamRevision::Any(Empty {});
            let options = Some(tombstone_req::Options {
                stream_identifier: name(stream),
                expected_stream_revision: Some(revision),
            });
            client.tombstone(TombstoneReq { options }).await.unwrap();
        };
        let refused = append_during(&store, &client, (stream, expected), tombstone).await;
        let status = refused.expect_err("the stream has a tombstone");
        assert_eq!(trailer(&status, "exception"), "stream-deleted", "{stream}");
        let events = Read::stream(stream.parse().unwrap());
        let events = store.read(events).await.unwrap().events;
        assert_eq!(events.len(), usize::from(has_events) + 1, "{stream}");
    }
}

#[tokio::test]
async fn append_restores_a_concurrently_deleted_stream() {
    let store = gated();
    let client = start(&store).await;
    for (stream, expected, is_stored) in [
        ("hive-1", Expected::Any(Empty {}), true),
        ("hive-2", Expected::Revision(0), true),
        ("hive-3", Expected::StreamExists(Empty {}), false),
    ] {
        let number = u128::from(stream.as_bytes()[5]);
        append(client.clone(), stream, Expected::Any(Empty {}), number)
            .await
            .unwrap();
        let delete = async |mut client: Client| {
            let revision = delete_req::options::ExpectedStreamRevision::Any(Empty {});
            let options = Some(delete_req::Options {
                stream_identifier: name(stream),
                expected_stream_revision: Some(revision),
            });
            client.delete(DeleteReq { options }).await.unwrap();
        };
        let appended = append_during(&store, &client, (stream, expected), delete).await;
        let metadata = Read::stream(format!("$${stream}").parse().unwrap());
        let metadata = store.read(metadata.backward()).await.unwrap().events;
        if is_stored {
            let result = appended.unwrap().result;
            assert!(
                matches!(result, Some(AppendResult::Success(_))),
                "{result:?}"
            );
            assert_eq!(metadata[0].data, r#"{"$tb":1}"#, "{stream}");
        } else {
            let status = appended.expect_err("the stream does not exist");
            assert_eq!(trailer(&status, "exception"), "stream-deleted");
            assert_eq!(metadata.len(), 1);
        }
    }
}

/// Also if another protocol has written the metadata stream, which then has no settings, appends are stored.
#[tokio::test]
async fn append_needs_one_append_to_the_store() {
    let store = gated();
    let client = start(&store).await;
    for number in 1..=3 {
        append(client.clone(), "hive-1", Expected::Any(Empty {}), number)
            .await
            .unwrap();
        assert_eq!(store.appends.load(SeqCst), number as usize);
    }
    let metadata = NewEvent {
        id: new_event_id(),
        name: "$metadata".into(),
        schema_version: 1,
        content_type: ContentType::Json,
        data: "{}".into(),
        tags: Vec::new(),
        metadata: Arc::default(),
        personal: Vec::new(),
    };
    let foreign = Append::stream(
        "$$hive-2".parse().unwrap(),
        ExpectedVersion::Any,
        vec![metadata],
    );
    store.store.append(foreign).await.unwrap();
    for number in 4..=5 {
        append(client.clone(), "hive-2", Expected::Any(Empty {}), number)
            .await
            .unwrap();
    }
}
