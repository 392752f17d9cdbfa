//! What a catalog says of a small domain, to the letter.

use factum::prelude::*;
use factum::process::{Correlation, Deadline, Reactions, Rejection};
use factum::schema::catalog::{Catalog, States};
use schemars::JsonSchema;
use serde_json::Value;

/// Which order.
#[derive(Id, Debug, Clone, Copy, JsonSchema)]
struct OrderId(u32);

/// What happens to an order.
#[derive(Event, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[event(prefix = "order")]
enum OrderEvent {
    /// Somebody wants something.
    Placed {
        /// Who | what.
        #[tag]
        customer: String,
        /// What.
        lines: Vec<Line>,
        /// Where to, if not to the customer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Address>,
    },
    #[event(name = "order.money_came", version = 2, upcast = in_cents)]
    Paid {
        cents: u64,
        how: Means,
    },
    /// It is on its way.
    Sent(String),
    Cancelled,
}

fn in_cents(old: Value) -> Result<Value, factum::UpcastError> {
    Ok(old)
}

/// So many of one thing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Line {
    /// The thing.
    sku: String,
    /// How many.
    count: u8,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Address(String, u16);

/// How the money came.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Means {
    /// In the hand.
    Cash,
    /// From a card.
    Card {
        /// Its last digits.
        digits: String,
    },
}

/// What a customer wants, and whether it was paid.
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

/// Asks for something.
#[derive(Command, Serialize, JsonSchema)]
#[command(on = Order, query = Unpaid)]
struct Place {
    #[id]
    order: OrderId,
    /// Who.
    #[tag]
    customer: String,
}

impl Decide for Place {
    type Error = No;

    fn decide(&self, (order, unpaid): (&Order, &Unpaid)) -> Result<Events<OrderEvent>, No> {
        // The tag query sees what the explored order went through.
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

/// Pays and sends, in one decision.
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

/// What the stock holds.
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

/// What is to be done.
#[derive(Projection)]
#[projection(name = "todo", version = 3, events = (OrderEvent, StockEvent))]
struct Todo;

/// Waits for the money | a week.
///
/// What is never paid is cancelled.
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
    let life = States::of(|order: &Order| {
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
        .about("Orders, \"and\" what they need.")
        .version("1.2.3")
        .aggregate::<Order>()
        .aggregate::<Stock>()
        .command::<Place>()
        .command::<Pay>()
        .command::<Cancel>()
        .projection::<Todo>()
        .process_manager::<Payment>()
        .states(life)
}

#[test]
fn the_document_for_people() {
    insta::assert_snapshot!(catalog().to_markdown());
}

#[test]
fn the_json_schema() {
    insta::assert_snapshot!(sorted(catalog().to_json_schema()));
}

#[test]
fn the_asyncapi_document() {
    insta::assert_snapshot!(sorted(catalog().to_asyncapi()));
}

/// With its keys in order, whatever the features of `serde_json` are.
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
fn the_same_catalog_gives_the_same_text() {
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
fn every_reference_leads_somewhere() {
    for document in [catalog().to_json_schema(), catalog().to_asyncapi()] {
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 8, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("into the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}

/// A projection as common as any: nobody asks it for a `JsonSchema`, nor an aggregate.
#[test]
fn the_documentation_comment_of_a_type_is_known() {
    assert_eq!(Todo::DOC, "What is to be done.");
    assert_eq!(
        Payment::DOC,
        "Waits for the money | a week.\n\nWhat is never paid is cancelled."
    );
    assert_eq!(
        Order::DOC,
        "What a customer wants, and whether it was paid.\n\nIt is [sent](https://example.org) once."
    );
    assert_eq!(Place::TAGS, ["customer"]);
    assert_eq!(Pay::TAGS, [] as [&str; 0]);
    let tags: Vec<_> = OrderEvent::TYPES.iter().map(|kind| kind.tags).collect();
    assert_eq!(tags, [&["customer"][..], &[], &[], &[]]);
}

/// Each of them shows all of its events, and a document for tools has each once.
#[test]
fn two_aggregates_may_have_events_of_one_type() {
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
