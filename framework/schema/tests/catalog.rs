//! The documents of a catalog of a small domain.

use factum::prelude::*;
use factum::process::{Correlation, Deadline, Reactions, Rejection};
use factum::schema::catalog::{Catalog, States};
use schemars::JsonSchema;
use serde_json::Value;

/// The number of an order.
#[derive(Id, Debug, Clone, Copy, JsonSchema)]
struct OrderId(u32);

/// The events of an order.
#[derive(Event, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[event(prefix = "order")]
enum OrderEvent {
    /// A customer placed the order.
    Placed {
        /// The customer | buyer.
        #[tag]
        customer: String,
        /// The ordered articles.
        lines: Vec<Line>,
        /// The delivery address, if it differs from that of the customer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Address>,
    },
    #[event(name = "order.money_came", version = 2, upcast = in_cents)]
    Paid {
        cents: u64,
        how: Means,
    },
    /// The order was sent.
    Sent(String),
    Cancelled,
}

fn in_cents(old: Value) -> Result<Value, factum::event::UpcastError> {
    Ok(old)
}

/// An article and its quantity.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Line {
    /// The article.
    sku: String,
    /// The quantity.
    count: u8,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Address(String, u16);

/// The means of payment.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Means {
    /// Cash on delivery.
    Cash,
    /// A payment card.
    Card {
        /// The last digits of the card.
        digits: String,
    },
}

/// The order of a customer, and its payment.
///
/// It is [sent](https://example.org) once.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "order", id = OrderId, event = OrderEvent)]
struct Order {
    phase: &'static str,
}

impl Apply<OrderEvent> for Order {
    fn apply(&mut self, event: &OrderEvent) {
        self.phase = match event {
            OrderEvent::Placed { .. } => "placed",
            OrderEvent::Paid { .. } => "paid: in full",
            OrderEvent::Sent(_) => "sent",
            OrderEvent::Cancelled => "cancelled",
        };
    }
}

#[derive(Default)]
struct Unpaid(u32);

impl Apply<OrderEvent> for Unpaid {
    fn apply(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Placed { .. } => self.0 += 1,
            _ => self.0 = 0,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no")]
struct No;

mod namesakes {
    use super::*;

    #[derive(Event, Debug, Clone, Serialize, Deserialize, JsonSchema)]
    #[event(name = "order.cancelled")]
    pub struct OtherEvent {}

    #[derive(Aggregate, Default, Clone)]
    #[aggregate(category = "other", id = u8, event = OtherEvent)]
    pub struct Other;

    impl Apply<OtherEvent> for Other {
        fn apply(&mut self, _: &OtherEvent) {}
    }

    #[derive(Command, Serialize, JsonSchema)]
    #[command(on = Other, name = "pay")]
    pub struct Repay {
        #[id]
        pub id: u8,
    }
}

#[test]
#[should_panic(
    expected = "two events have the event type \"order.cancelled\": `catalog::OrderEvent` and `catalog::namesakes::OtherEvent`"
)]
fn catalog_rejects_two_events_with_one_name() {
    let _ = Catalog::new("shop")
        .aggregate::<Order>()
        .aggregate::<Order>()
        .aggregate::<namesakes::Other>();
}

#[test]
#[should_panic(
    expected = "two commands have the name \"pay\": catalog::Pay and catalog::namesakes::Repay; rename one"
)]
fn catalog_rejects_two_commands_with_one_name() {
    let _ = Catalog::new("shop")
        .command::<Pay>()
        .command::<namesakes::Repay>();
}

/// Places an order.
#[derive(Command, Serialize, JsonSchema)]
#[command(on = Order, query = Unpaid)]
struct Place {
    #[id]
    order: OrderId,
    /// The customer.
    #[tag]
    customer: String,
}

impl Decide for Place {
    type Error = No;

    fn decide(&self, (order, unpaid): (&Order, &Unpaid)) -> Result<Events<OrderEvent>, No> {
        // The DCB query contains the history of the explored order.
        match (order.phase, unpaid.0) {
            ("", 0) => Ok(OrderEvent::Placed {
                customer: self.customer.clone(),
                lines: Vec::new(),
                to: None,
            }
            .into()),
            _ => Err(No),
        }
    }
}

/// Pays and sends an order in one decision.
#[derive(Command, Serialize, JsonSchema)]
#[command(on = Order, name = "pay")]
struct Pay {
    #[id]
    order: OrderId,
}

impl Decide for Pay {
    type Error = No;

    fn decide(&self, order: &Order) -> Result<Events<OrderEvent>, No> {
        let paid = OrderEvent::Paid {
            cents: 1,
            how: Means::Cash,
        };
        match order.phase {
            "placed" => Ok([paid, OrderEvent::Sent("by mail".to_owned())].into()),
            _ => Err(No),
        }
    }
}

/// The stock of an article.
#[derive(Aggregate, Debug, Clone, Default)]
#[aggregate(category = "stock", id = u8, event = StockEvent)]
struct Stock {
    is_full: bool,
}

#[derive(Event, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[event(prefix = "stock")]
struct StockEvent {
    count: Option<i32>,
}

impl Apply<StockEvent> for Stock {
    fn apply(&mut self, _: &StockEvent) {}
}

#[derive(Command, Serialize, Deserialize, JsonSchema)]
#[command(on = (Order, Stock, Vec<Order>))]
struct Cancel {
    #[id]
    order: OrderId,
    #[id]
    stock: u8,
    #[id]
    others: Vec<OrderId>,
}

impl Decide for Cancel {
    type Error = No;

    fn decide(
        &self,
        (order, stock, others): (&Order, &Stock, Vec<&Order>),
    ) -> Result<
        (
            Events<OrderEvent>,
            Events<StockEvent>,
            Vec<Events<OrderEvent>>,
        ),
        No,
    > {
        if order.phase != "placed" || !stock.is_full {
            return Err(No);
        }
        let others = others.iter().map(|_| Events::none()).collect();
        Ok((
            OrderEvent::Cancelled.into(),
            StockEvent { count: None }.into(),
            others,
        ))
    }
}

/// The open orders.
#[derive(Projection)]
#[projection(name = "todo", version = 3, events = (OrderEvent, StockEvent))]
struct Todo;

/// Waits for the payment | a week.
///
/// An order that is never paid is cancelled.
#[derive(ProcessManager, Default, Clone, Serialize, Deserialize)]
#[process_manager(
    name = "payment",
    version = 2,
    upcast = in_cents,
    id = String,
    events = (OrderEvent, StockEvent),
    commands = Cancel,
)]
struct Payment;

impl Apply<OrderEvent> for Payment {
    fn apply(&mut self, _: &OrderEvent) {}
}

impl Apply<StockEvent> for Payment {
    fn apply(&mut self, _: &StockEvent) {}
}

impl React<OrderEvent> for Payment {
    fn correlate(_: &Recorded<OrderEvent>) -> Correlation<String> {
        Correlation::Ignored
    }
    fn react(&self, _: &Recorded<OrderEvent>, _: &mut Reactions<Self>) {}
}

impl React<StockEvent> for Payment {
    fn correlate(_: &Recorded<StockEvent>) -> Correlation<String> {
        Correlation::Ignored
    }
    fn react(&self, _: &Recorded<StockEvent>, _: &mut Reactions<Self>) {}
}

impl Respond for Payment {
    fn rejected(&mut self, _: &Rejection, _: &mut Reactions<Self>) {}
    fn deadline(&mut self, _: &Deadline, _: &mut Reactions<Self>) {}
}

fn catalog() -> Catalog {
    let (order, customer) = (OrderId(1), "Ada".to_owned());
    let lifecycle = States::of(|order: &Order| {
        if order.phase.is_empty() {
            "(none)"
        } else {
            order.phase
        }
    })
    .beside(Stock { is_full: true })
    .when(Place { order, customer })
    .when(Pay { order })
    .when(Cancel {
        order,
        stock: 1,
        others: vec![OrderId(2)],
    });
    Catalog::new("Shop")
        .about("Orders, \"and\" their stock.")
        .version("1.2.3")
        .aggregate::<Order>()
        .aggregate::<Stock>()
        .command::<Place>()
        .command::<Pay>()
        .command::<Cancel>()
        .projection::<Todo>()
        .process_manager::<Payment>()
        .states(lifecycle)
}

#[test]
fn markdown_document() {
    insta::assert_snapshot!(catalog().to_markdown());
}

#[test]
fn json_schema_document() {
    insta::assert_snapshot!(sorted(catalog().to_json_schema()));
}

#[test]
fn asyncapi_document() {
    insta::assert_snapshot!(sorted(catalog().to_asyncapi()));
}

/// Returns the JSON with sorted keys, independent of the features of `serde_json`.
fn sorted(json: Value) -> String {
    fn sort(json: Value) -> Value {
        match json {
            Value::Object(keys) => {
                let keys: std::collections::BTreeMap<_, _> = keys.into_iter().collect();
                keys.into_iter()
                    .map(|(key, value)| (key, sort(value)))
                    .collect()
            }
            Value::Array(parts) => parts.into_iter().map(sort).collect(),
            other => other,
        }
    }
    format!("{:#}", sort(json))
}

#[test]
fn catalog_output_is_deterministic() {
    assert_eq!(catalog().to_markdown(), catalog().to_markdown());
    assert_eq!(
        catalog().to_asyncapi().to_string(),
        catalog().to_asyncapi().to_string()
    );
}

fn references(json: &Value, found: &mut Vec<String>) {
    match json {
        Value::Object(keys) => {
            if let Some(Value::String(reference)) = keys.get("$ref") {
                found.push(reference.clone());
            }
            keys.values().for_each(|value| references(value, found));
        }
        Value::Array(parts) => parts.iter().for_each(|part| references(part, found)),
        _ => {}
    }
}

#[test]
fn references_resolve_within_document() {
    for document in [catalog().to_json_schema(), catalog().to_asyncapi()] {
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 8, "{found:?}");
        for reference in found {
            let pointer = reference
                .strip_prefix('#')
                .expect("a reference within the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}

/// Projections and aggregates do not implement `JsonSchema`, so their derives expose the comments.
#[test]
fn derives_expose_documentation_comments() {
    assert_eq!(Todo::DOC, "The open orders.");
    assert_eq!(
        Payment::DOC,
        "Waits for the payment | a week.\n\nAn order that is never paid is cancelled."
    );
    assert_eq!(
        Order::DOC,
        "The order of a customer, and its payment.\n\nIt is [sent](https://example.org) once."
    );
    assert_eq!(Place::TAGS, ["customer"]);
    assert_eq!(Pay::TAGS, [] as [&str; 0]);
    let tags: Vec<_> = OrderEvent::TYPES
        .iter()
        .map(|event_type| event_type.tags)
        .collect();
    assert_eq!(tags, [&["customer"][..], &[], &[], &[]]);
}

/// The Markdown document lists the event for each aggregate; the JSON documents contain it once.
#[test]
fn aggregates_may_share_event_type() {
    #[derive(Aggregate, Debug, Clone, Default)]
    #[aggregate(category = "shelf", id = u8, event = StockEvent)]
    struct Shelf;
    impl Apply<StockEvent> for Shelf {
        fn apply(&mut self, _: &StockEvent) {}
    }
    let catalog = Catalog::new("Store")
        .aggregate::<Stock>()
        .aggregate::<Shelf>();
    let text = catalog.to_markdown();
    assert_eq!(text.matches("#### `stock.stock_event`").count(), 2);
    let schema = catalog.to_json_schema();
    assert_eq!(schema["anyOf"].as_array().map(Vec::len), Some(1));
    let asyncapi = catalog.to_asyncapi();
    for category in ["stock", "shelf"] {
        let messages = &asyncapi["channels"][category]["messages"];
        assert!(messages["stock.stock_event"].is_object(), "{messages}");
    }
}
