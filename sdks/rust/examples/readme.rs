//! The examples of the README, against the server whose host and port are in the environment variable
//! `EVENT_STORE_ADDRESS`, or else on this machine.

#![allow(clippy::print_stdout, reason = "examples print")]

use std::error::Error;

use factum_store_client::{
    Client, ErrorKind, EventData, ExpectedVersion, GroupOptions, NackAction, Position, Query,
    RecordedEvent, SubscriptionMessage, Tag,
};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::var("EVENT_STORE_ADDRESS");
    let address = address.unwrap_or_else(|_| "127.0.0.1:50051".to_owned());
    let client = Client::open(format!("factum://{address}"))?;
    quick_start(&client).await?;
    decide(&client).await?;
    subscribe(&client).await?;
    consume(&client).await?;
    assert_eq!(client.head().await?, Position::new(3));
    Ok(())
}

async fn quick_start(client: &Client) -> Result<(), Box<dyn Error>> {
    let opened = EventData::json("account.opened", &json!({ "owner": "Ann" }))?.tag("owner:ann");
    let appended = client
        .append("account-1", ExpectedVersion::NoStream, [opened])
        .await?;
    println!("stored at position {}", appended.position);

    let mut events = client.read_stream("account-1").start();
    while let Some(event) = events.next().await {
        let event = event?;
        println!("{} {} {:?}", event.version, event.name, event.data);
    }
    Ok(())
}

async fn decide(client: &Client) -> Result<(), Box<dyn Error>> {
    let ann = Query::tag(Tag::new("student", "ann")?);
    let page = client.read_all().query(&ann).collect().await?;
    if page.events.len() < 5 {
        let enrolled = EventData::json("course.enrolled", &json!({ "course": "math" }))?;
        let taken = EventData::json("seat.taken", &json!({}))?;
        let append = client
            .append(
                "student-ann",
                ExpectedVersion::Any,
                [enrolled.tag("student:ann")],
            )
            .stream("course-math", ExpectedVersion::Any, [taken])
            .condition(&ann, page.head)
            .idempotency_key("request-17");
        match append.await {
            Ok(appended) => println!("stored at position {}", appended.position),
            Err(error) => match error.kind() {
                ErrorKind::Conflict { violations, .. } => println!("decide again: {violations:?}"),
                _ => return Err(error.into()),
            },
        }
    }
    Ok(())
}

async fn subscribe(client: &Client) -> Result<(), Box<dyn Error>> {
    let stored_position = Position::ZERO;
    let mut messages = client
        .subscribe()
        .query(&Query::category("account"))
        .after(stored_position)
        .start();
    while let Some(message) = messages.next().await {
        match message? {
            SubscriptionMessage::Event(event) => println!("{} {}", event.position, event.name),
            SubscriptionMessage::CaughtUp { position } => {
                println!("all events up to {position} were delivered");
                break;
            }
            _ => {}
        }
    }
    Ok(())
}

fn send_invoice(event: &RecordedEvent) -> Result<(), String> {
    println!("invoice for {}", event.stream);
    Ok(())
}

async fn consume(client: &Client) -> Result<(), Box<dyn Error>> {
    client
        .groups()
        .create(
            "billing",
            GroupOptions::new().query(&Query::category("account")),
        )
        .await?;
    let mut consumer = client.consume("billing").start();
    let mut invoices = 0;
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        match send_invoice(&delivery.event) {
            Ok(()) => delivery.ack(),
            Err(reason) => delivery.nack(NackAction::retry().reason(reason)),
        }
        invoices += 1;
        // This example ends after one event.
        if invoices == 1 {
            break;
        }
    }
    consumer.leave().await;
    Ok(())
}
