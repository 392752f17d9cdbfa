//! Tracing of process managers: the causality tree across two of them, and their spans.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "support/log.rs"]
mod log;

use std::time::Duration;

use factum::prelude::*;
use factum::store::{Query, Read};
use factum_memory::MemoryStore;
use factum_testkit::VirtualClock;
use tracing::Level;
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::fmt::format::FmtSpan;

use log::Log;

const DAY: Duration = Duration::from_secs(24 * 3_600);
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[event(prefix = "order")]
enum OrderEvent {
    Placed,
    Billed,
    Shipped,
    Praised,
}

#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = u32, event = OrderEvent)]
struct Order;

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, _: &OrderEvent) {}
}

/// Emits an event.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Emit {
    #[id]
    order: u32,
    event: OrderEvent,
}

impl Decide for Emit {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

fn emit(event: OrderEvent) -> Emit {
    Emit { order: 7, event }
}

/// Sends a bill for each placed order.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(id = String, events = OrderEvent, commands = Emit)]
struct Billing;

/// Ships each billed order, and asks for praise one day later.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(id = String, events = OrderEvent, commands = Emit)]
struct Shipping;

impl Apply<OrderEvent> for Billing {
    fn apply(&mut self, _: &OrderEvent) {}
}

impl Apply<OrderEvent> for Shipping {
    fn apply(&mut self, _: &OrderEvent) {}
}

/// Correlates each event with the process instance of its order.
fn of_order(event: &Recorded<OrderEvent>) -> Correlation<String> {
    Correlation::Starts(event.record.stream.to_string())
}

impl React<OrderEvent> for Billing {
    fn correlate(event: &Recorded<OrderEvent>) -> Correlation<String> {
        of_order(event)
    }

    fn react(&self, event: &Recorded<OrderEvent>, then: &mut Reactions<Self>) {
        if event.event == OrderEvent::Placed {
            then.send(emit(OrderEvent::Billed));
        }
    }
}

impl React<OrderEvent> for Shipping {
    fn correlate(event: &Recorded<OrderEvent>) -> Correlation<String> {
        of_order(event)
    }

    fn react(&self, event: &Recorded<OrderEvent>, then: &mut Reactions<Self>) {
        if event.event == OrderEvent::Billed {
            then.send(emit(OrderEvent::Shipped)).deadline("praise", DAY);
        }
    }
}

impl Respond for Billing {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}
    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

impl Respond for Shipping {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}

    fn deadline(&mut self, _: &Deadline, then: &mut Reactions<Self>) {
        then.send(emit(OrderEvent::Praised)).complete();
    }
}

/// Runs one order: placed, billed and shipped, and praised one day later.
async fn run_order(engine: &Engine) {
    let clock = VirtualClock::new();
    let running = Runtime::builder(engine)
        .process::<Billing>(StartFrom::Beginning)
        .process::<Shipping>(StartFrom::Beginning)
        .clock(clock.clone())
        .start()
        .await
        .unwrap();
    let placed = engine.execute(emit(OrderEvent::Placed)).by("ada");
    placed.trace_parent(TRACE).await.unwrap();
    running.wait_until_idle().await.unwrap();
    clock.advance(DAY);
    running.wait_until_idle().await.unwrap();
    running.stop().await;
}

/// Asserts that each event, also one from a deadline, is below its cause in one tree.
async fn assert_one_tree(engine: &Engine) {
    let page = engine.store().read(Read::all(Query::all())).await.unwrap();
    let request = page.events[0].metadata.correlation_id.unwrap();
    let tree = engine.causality(request).await.unwrap();
    assert_eq!(
        tree.to_string(),
        "\
order.placed (order-7 version 1, position 1) by ada
  order.billed (order-7 version 2, position 2) by billing
    order.shipped (order-7 version 3, position 3) by shipping
    order.praised (order-7 version 4, position 4) by shipping
"
    );
    for event in tree.events() {
        let trace = event.metadata.trace_parent.as_deref();
        assert_eq!(trace, Some(TRACE), "{event}");
    }
}

/// The only test of this file, because a thread without a subscriber could disable the spans.
#[tokio::test]
async fn process_managers_share_one_causality_tree_and_spans() {
    let log = Log::default();
    let spans = FmtSpan::CLOSE;
    let _default = tracing::subscriber::set_default(log.subscriber(Level::DEBUG, spans));
    let engine = Engine::new(MemoryStore::new());
    run_order(&engine).with_current_subscriber().await;
    assert_one_tree(&engine).await;
    let log = log.text();
    for expected in [
        r#"process manager{name="billing"}:command{process="billing" instance="order-7" command="Emit" trace_parent="TRACE"}: factum"#,
        r#"process manager{name="shipping"}:command{process="shipping" instance="order-7" command="Emit" trace_parent="TRACE"}:execute{command="Emit""#,
        r#":project{events=1}:event{consumer="process:shipping" name="order.billed" position=2 trace_parent="TRACE"}: factum"#,
        r#"process manager{name="shipping"}:deadline{process="shipping" instance="order-7" deadline="praise" trace_parent="TRACE"}: factum"#,
        r#"consumer{name="process:billing"}:project{events="#,
    ] {
        let expected = expected.replace("TRACE", TRACE);
        assert!(log.contains(&expected), "no {expected} in:\n{log}");
    }
}
