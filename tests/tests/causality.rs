//! Automatic correlation and causation metadata, and the causal tree that is read from it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use factum::Position;
use factum::engine::CausalTree;
use factum::prelude::*;
use factum::store::Metadata;
use factum::store::{Append, ContentType, EventStore, ExpectedVersion, NewEvent, RecordedEvent};
use factum_memory::MemoryStore;
use uuid::Uuid;

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
enum OrderEvent {
    Placed,
    Paid,
    Sent,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = u64, event = OrderEvent)]
struct Order;

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, _: &OrderEvent) {}
}

#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Record {
    #[id]
    order: u64,
    #[serde(skip)]
    events: Vec<OrderEvent>,
}

impl Decide for Record {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
        Ok(self.events.clone().into())
    }
}

fn record(order: u64, events: impl IntoIterator<Item = OrderEvent>) -> Record {
    let events = events.into_iter().collect();
    Record { order, events }
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Places an order, pays and sends it as an effect, and stores an effect of the payment.
async fn store_events(engine: &Engine) -> (RecordedEvent, Recorded<OrderEvent>) {
    let mut metadata = Metadata::default();
    metadata.tenant = Some("north".to_owned());
    let place = engine.execute(record(1, [OrderEvent::Placed]));
    let placed = place.metadata(metadata).trace_parent(TRACE).by("ada").await;
    let placed = placed.unwrap().events()[0].clone();

    // An unrelated event in between.
    engine
        .execute(record(9, [OrderEvent::Placed]))
        .await
        .unwrap();
    let both = [OrderEvent::Paid, OrderEvent::Sent];
    let paid = engine
        .execute(record(1, both))
        .caused_by(&placed)
        .by("bank");
    let paid = paid.because("in\nadvance").await.unwrap();
    let paid: Recorded<OrderEvent> = paid.events()[0].clone().try_into().unwrap();
    engine
        .execute(record(2, [OrderEvent::Sent]))
        .caused_by(&paid)
        .await
        .unwrap();
    (placed, paid)
}

#[tokio::test]
async fn command_inherits_metadata_of_its_cause() {
    let engine = Engine::new(MemoryStore::new());
    let (placed, paid) = store_events(&engine).await;
    let correlation = placed.metadata.correlation_id.unwrap();
    assert_eq!(correlation.get_version_num(), 7);
    assert_eq!(placed.metadata.causation_id, None);
    let (cause, metadata) = (&placed.metadata, &paid.record.metadata);
    assert_eq!(metadata.correlation_id, Some(correlation));
    assert_eq!(metadata.causation_id, Some(placed.id));
    assert_eq!(metadata.tenant, cause.tenant);
    assert_eq!(metadata.trace_parent.as_deref(), Some(TRACE));
}

#[tokio::test]
async fn causal_tree_lists_effects_below_their_cause() {
    let engine = Engine::new(MemoryStore::new());
    let (placed, paid) = store_events(&engine).await;
    let correlation = placed.metadata.correlation_id.unwrap();
    let tree = engine.causality(correlation).await.unwrap();
    let expected = "order.placed (order-1 version 1, position 1) by ada
  order.paid (order-1 version 2, position 3) by bank: in\\nadvance
    order.sent (order-2 version 1, position 5)
  order.sent (order-1 version 3, position 4) by bank: in\\nadvance
";
    assert_eq!(tree.to_string(), expected);
    assert!(tree.is_complete());
    assert_eq!(
        (tree.after(), tree.through()),
        (Position::ZERO, Position::new(5))
    );
    let roots: Vec<u64> = tree.roots().map(|event| event.position.get()).collect();
    assert_eq!(roots, [1]);
    let effects = |id| {
        tree.effects(id)
            .map(|event| event.position.get())
            .collect::<Vec<_>>()
    };
    assert_eq!(effects(placed.id), [3, 4]);
    assert_eq!(effects(paid.record.id), [5]);
    assert_eq!(effects(Uuid::nil()), [0; 0]);

    let json = serde_json::to_value(&tree).unwrap();
    assert_eq!(json["correlation_id"], correlation.to_string());
    let depths: Vec<_> = json["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["depth"])
        .collect();
    assert_eq!(depths, [0, 1, 2, 1]);
    assert_eq!(
        json["events"][1]["metadata"]["causation_id"],
        placed.id.to_string()
    );
}

#[tokio::test]
async fn causal_tree_is_limited_by_events_and_positions() {
    let engine = Engine::new(MemoryStore::new());
    let id = Uuid::now_v7();
    for order in 1..=5 {
        engine
            .execute(record(order, [OrderEvent::Placed]))
            .correlation(id)
            .await
            .unwrap();
        engine
            .execute(record(order, [OrderEvent::Paid]))
            .await
            .unwrap();
    }
    let positions = |tree: &CausalTree| -> Vec<u64> {
        tree.events()
            .iter()
            .map(|event| event.position.get())
            .collect()
    };
    let tree = engine.causality(id).limit(2).await.unwrap();
    assert_eq!((positions(&tree), tree.is_complete()), (vec![1, 3], false));
    assert_eq!(tree.through(), Position::new(3));
    let expected = "order.placed (order-1 version 1, position 1)
order.placed (order-2 version 1, position 3)
… more events after position 3
";
    assert_eq!(tree.to_string(), expected);
    let tree = engine
        .causality(id)
        .after(tree.through())
        .until(7)
        .await
        .unwrap();
    assert_eq!((positions(&tree), tree.is_complete()), (vec![5, 7], true));
    assert_eq!(tree.through(), Position::new(7));
    let all = engine.causality(id).limit(5).await.unwrap();
    assert_eq!(
        (positions(&all), all.is_complete()),
        (vec![1, 3, 5, 7, 9], true)
    );
    assert_eq!(all.through(), Position::new(10));
    let none = engine.causality(Uuid::now_v7()).await.unwrap();
    assert_eq!((positions(&none), none.is_complete()), (vec![], true));
}

#[tokio::test]
async fn causal_tree_of_id_without_valid_time_needs_a_start() {
    let engine = Engine::new(MemoryStore::new());
    let named = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"request 7");
    // The time of this id is in the year 2255.
    let future: Uuid = "08300000-0000-7000-8000-000000000000".parse().unwrap();
    for id in [named, future] {
        engine
            .execute(record(1, [OrderEvent::Placed]))
            .correlation(id)
            .await
            .unwrap();
    }
    assert_eq!(engine.causality(named).await.unwrap().events().len(), 1);
    assert_eq!(
        engine
            .causality(named)
            .after(1)
            .await
            .unwrap()
            .events()
            .len(),
        0
    );
    assert_eq!(engine.causality(future).await.unwrap().events().len(), 0);
    assert_eq!(
        engine
            .causality(future)
            .after(0)
            .await
            .unwrap()
            .events()
            .len(),
        1
    );
}

/// Returns an engine on a store with these events in one stream.
async fn engine_with(events: impl IntoIterator<Item = (Uuid, Metadata)>) -> Engine {
    let store = MemoryStore::new();
    let events: Vec<NewEvent> = events
        .into_iter()
        .map(|(id, metadata)| NewEvent {
            id,
            name: "order.placed".into(),
            schema_version: 1,
            content_type: ContentType::Json,
            data: "{}".into(),
            tags: Vec::new(),
            metadata: Arc::new(metadata),
            personal: Vec::new(),
        })
        .collect();
    for events in events.chunks(10_000) {
        let stream = "order-1".parse().unwrap();
        let append = Append::stream(stream, ExpectedVersion::Any, events.to_vec());
        store.append(append).await.unwrap();
    }
    Engine::new(store)
}

fn caused(correlation: Uuid, cause: Option<Uuid>) -> Metadata {
    let mut metadata = Metadata::default();
    metadata.correlation_id = Some(correlation);
    metadata.causation_id = cause;
    metadata
}

#[tokio::test]
async fn event_without_correlation_id_is_the_root_of_its_effects() {
    let first = Uuid::now_v7();
    let engine = engine_with([(first, Metadata::default())]).await;
    let page = engine
        .store()
        .read(factum::store::Read::all(factum::store::Query::all()))
        .await
        .unwrap();
    engine
        .execute(record(2, [OrderEvent::Sent]))
        .caused_by(&page.events[0])
        .await
        .unwrap();
    let tree = engine.causality(first).await.unwrap();
    let depths: Vec<usize> = tree.events().iter().map(|event| event.depth).collect();
    assert_eq!(depths, [0, 1]);
}

#[tokio::test]
async fn causal_tree_keeps_cycles_and_unknown_causes() {
    let [id, one, two, elsewhere] = [(); 4].map(|()| Uuid::now_v7());
    let engine = engine_with([
        (one, caused(id, Some(two))),
        (two, caused(id, Some(one))),
        (Uuid::now_v7(), caused(id, Some(elsewhere))),
    ])
    .await;
    let tree = engine.causality(id).await.unwrap();
    let expected = format!(
        "order.placed (order-1 version 1, position 1), caused by {two}
  order.placed (order-1 version 2, position 2)
order.placed (order-1 version 3, position 3), caused by {elsewhere}
"
    );
    assert_eq!(tree.to_string(), expected);
}

#[tokio::test]
async fn causal_tree_handles_a_long_chain() {
    const LONG: usize = 50_000;
    let id = Uuid::now_v7();
    let ids: Vec<Uuid> = std::iter::repeat_with(Uuid::now_v7).take(LONG).collect();
    let causes = std::iter::once(None).chain(ids.iter().copied().map(Some));
    let events = ids.iter().copied().zip(causes);
    let engine = engine_with(events.map(|(event, cause)| (event, caused(id, cause)))).await;
    let tree = engine.causality(id).limit(LONG).await.unwrap();
    assert_eq!(tree.events().len(), LONG);
    let printed = tree.to_string();
    let last = printed.lines().last().unwrap().trim_start();
    assert_eq!(
        last,
        "[49999] order.placed (order-1 version 50000, position 50000)"
    );
    assert!(printed.len() < LONG * 150);
    let json = serde_json::to_string(&tree).unwrap();
    assert_eq!(json.matches("\"depth\"").count(), LONG);
}
