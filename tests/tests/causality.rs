//! What flows into metadata without help, and the tree that is read back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use factum::prelude::*;
use factum::{
    Append, CausalTree, ContentType, EventStore, ExpectedVersion, Metadata, NewEvent, Position,
    RecordedEvent,
};
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
struct Tell {
    #[id]
    order: u64,
    #[serde(skip)]
    what: Vec<OrderEvent>,
}

impl Decide for Tell {
    type Error = std::convert::Infallible;

    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
        Ok(self.what.clone().into())
    }
}

fn tell(order: u64, what: impl IntoIterator<Item = OrderEvent>) -> Tell {
    let what = what.into_iter().collect();
    Tell { order, what }
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// An order that is placed; what followed from that; and what followed from the first event of it.
async fn happened(engine: &Engine) -> (RecordedEvent, Recorded<OrderEvent>) {
    let mut metadata = Metadata::default();
    metadata.tenant = Some("north".to_owned());
    let place = engine.execute(tell(1, [OrderEvent::Placed]));
    let placed = place.metadata(metadata).trace_parent(TRACE).by("ada").await;
    let placed = placed.unwrap().events()[0].clone();

    // Something else happens between.
    engine.execute(tell(9, [OrderEvent::Placed])).await.unwrap();
    let both = [OrderEvent::Paid, OrderEvent::Sent];
    let paid = engine.execute(tell(1, both)).caused_by(&placed).by("bank");
    let paid = paid.because("in\nadvance").await.unwrap();
    let paid: Recorded<OrderEvent> = paid.events()[0].clone().try_into().unwrap();
    engine
        .execute(tell(2, [OrderEvent::Sent]))
        .caused_by(&paid)
        .await
        .unwrap();
    (placed, paid)
}

#[tokio::test]
async fn what_a_command_does_is_in_the_connection_of_the_event_that_caused_it() {
    let engine = Engine::new(MemoryStore::new());
    let (placed, paid) = happened(&engine).await;
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
async fn what_a_command_does_stands_below_the_event_that_caused_it() {
    let engine = Engine::new(MemoryStore::new());
    let (placed, paid) = happened(&engine).await;
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
async fn a_tree_is_bounded_by_events_and_by_positions_and_says_what_it_leaves_out() {
    let engine = Engine::new(MemoryStore::new());
    let id = Uuid::now_v7();
    for order in 1..=5 {
        engine
            .execute(tell(order, [OrderEvent::Placed]))
            .correlation(id)
            .await
            .unwrap();
        engine
            .execute(tell(order, [OrderEvent::Paid]))
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
async fn an_id_that_tells_no_time_or_a_wrong_one_is_looked_for_from_where_the_caller_says() {
    let engine = Engine::new(MemoryStore::new());
    let named = Uuid::new_v5(&Uuid::NAMESPACE_OID, b"request 7");
    // Of the year 2255.
    let ahead: Uuid = "08300000-0000-7000-8000-000000000000".parse().unwrap();
    for id in [named, ahead] {
        engine
            .execute(tell(1, [OrderEvent::Placed]))
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
    assert_eq!(engine.causality(ahead).await.unwrap().events().len(), 0);
    assert_eq!(
        engine
            .causality(ahead)
            .after(0)
            .await
            .unwrap()
            .events()
            .len(),
        1
    );
}

/// Events of one stream, each with its id and its metadata.
async fn stored(events: impl IntoIterator<Item = (Uuid, Metadata)>) -> Engine {
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
async fn an_event_without_a_correlation_is_the_root_of_what_it_causes() {
    let first = Uuid::now_v7();
    let engine = stored([(first, Metadata::default())]).await;
    let page = engine
        .store()
        .read(factum::Read::all(factum::Query::all()))
        .await
        .unwrap();
    engine
        .execute(tell(2, [OrderEvent::Sent]))
        .caused_by(&page.events[0])
        .await
        .unwrap();
    let tree = engine.causality(first).await.unwrap();
    let depths: Vec<usize> = tree.events().iter().map(|event| event.depth).collect();
    assert_eq!(depths, [0, 1]);
}

#[tokio::test]
async fn causes_that_go_in_a_circle_or_lie_elsewhere_lose_no_event() {
    let [id, one, two, elsewhere] = [(); 4].map(|()| Uuid::now_v7());
    let engine = stored([
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
async fn a_chain_of_any_length_is_read_printed_and_serialised() {
    const LONG: usize = 50_000;
    let id = Uuid::now_v7();
    let ids: Vec<Uuid> = std::iter::repeat_with(Uuid::now_v7).take(LONG).collect();
    let causes = std::iter::once(None).chain(ids.iter().copied().map(Some));
    let events = ids.iter().copied().zip(causes);
    let engine = stored(events.map(|(event, cause)| (event, caused(id, cause)))).await;
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
