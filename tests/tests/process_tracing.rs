//! What shows of process managers afterwards: what led to what over two of them, and their spans.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "support/log.rs"]
mod log;

use std::time::Duration;

use factum::prelude::*;
use factum::testkit::VirtualClock;
use factum::{Query, Read};
use factum_memory::MemoryStore;
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

/// Says what happens.
#[derive(Command, Debug, Clone, Serialize, Deserialize)]
#[command(on = Order)]
struct Tell {
    #[id]
    order: u32,
    event: OrderEvent,
}

impl Decide for Tell {
    type Error = std::convert::Infallible;
    fn decide(&self, _: &Order) -> Result<Events<OrderEvent>, Self::Error> {
        Ok(self.event.clone().into())
    }
}

fn tell(event: OrderEvent) -> Tell {
    Tell { order: 7, event }
}

/// Sends a bill for what is placed.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(id = String, events = OrderEvent, commands = Tell)]
struct Billing;

/// Ships what is billed, and asks for praise a day later.
#[derive(ProcessManager, Debug, Clone, Default, Serialize, Deserialize)]
#[process_manager(id = String, events = OrderEvent, commands = Tell)]
struct Shipping;

impl Apply<OrderEvent> for Billing {
    fn apply(&mut self, _: &OrderEvent) {}
}

impl Apply<OrderEvent> for Shipping {
    fn apply(&mut self, _: &OrderEvent) {}
}

/// Instances go by the stream of the order.
fn of_order(event: &Recorded<OrderEvent>) -> Correlation<String> {
    Correlation::Starts(event.record.stream.to_string())
}

impl React<OrderEvent> for Billing {
    fn correlate(event: &Recorded<OrderEvent>) -> Correlation<String> {
        of_order(event)
    }

    fn react(&self, event: &Recorded<OrderEvent>, then: &mut Reactions<Self>) {
        if event.event == OrderEvent::Placed {
            then.send(tell(OrderEvent::Billed));
        }
    }
}

impl React<OrderEvent> for Shipping {
    fn correlate(event: &Recorded<OrderEvent>) -> Correlation<String> {
        of_order(event)
    }

    fn react(&self, event: &Recorded<OrderEvent>, then: &mut Reactions<Self>) {
        if event.event == OrderEvent::Billed {
            then.send(tell(OrderEvent::Shipped)).deadline("praise", DAY);
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
        then.send(tell(OrderEvent::Praised)).complete();
    }
}

/// An order is placed, billed and shipped, and praised the day after.
async fn one_order(engine: &Engine) {
    let clock = VirtualClock::new();
    let running = ProcessManagers::builder(engine)
        .with::<Billing>()
        .with::<Shipping>()
        .clock(clock.clone())
        .start();
    let placed = engine.execute(tell(OrderEvent::Placed)).by("ada");
    placed.trace_parent(TRACE).await.unwrap();
    running.wait_until_idle().await.unwrap();
    clock.advance(DAY);
    running.wait_until_idle().await.unwrap();
    running.stop().await;
}

/// One tree: what was billed stands below what was placed, and what the deadline led to below what set it.
async fn is_one_tree(engine: &Engine) {
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

/// One test, and no other beside it: a thread without a subscriber could switch the spans off.
#[tokio::test]
async fn what_follows_over_two_process_managers_is_one_tree_and_has_its_spans() {
    let log = Log::default();
    let spans = FmtSpan::CLOSE;
    let _default = tracing::subscriber::set_default(log.subscriber(Level::DEBUG, spans));
    let engine = Engine::new(MemoryStore::new());
    one_order(&engine).with_current_subscriber().await;
    is_one_tree(&engine).await;
    let log = log.text();
    for expected in [
        r#"process manager{name="billing"}:command{process="billing" instance="order-7" command="Tell"}: factum"#,
        r#"process manager{name="shipping"}:command{process="shipping" instance="order-7" command="Tell"}:execute{command="Tell""#,
        r#"process manager{name="shipping"}:deadline{process="shipping" instance="order-7" deadline="praise"}: factum"#,
        r#"projection{name="process:billing"}:project{events="#,
    ] {
        assert!(log.contains(expected), "no {expected} in:\n{log}");
    }
}
