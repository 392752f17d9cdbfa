//! The call of a vector, made by the client.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use factum_store_client::{
    AppendCall, CallAttempts, Client, ClientError, ClientOptions, EventData, ExpectedVersion,
    GroupAdmin, GroupOptions, Metadata, NackAction, PartitionKey, Position, Query, QueryItem, Tag,
    Version,
};
use futures_util::{Stream, StreamExt as _};
use serde_json::{Map, Value, json};

use crate::outcome;
use crate::server::ScriptedServer;

macro_rules! read_options {
    ($read:expr, $call:expr) => {{
        let mut read = $read.timeout(milliseconds(&$call["timeout_ms"]));
        if $call["direction"] == "backward" {
            read = read.backward();
        }
        if let Some(cursor) = $call["cursor"].as_u64() {
            read = read.after(cursor);
        }
        if let Some(limit) = $call["limit"].as_u64() {
            read = read.limit(limit);
        }
        read
    }};
}

/// Makes the call of a vector, and returns its outcome.
pub async fn run(vector: &Value, server: &ScriptedServer) -> Value {
    let (call, cancel) = (vector["call"].clone(), &vector["cancel"]);
    let client = options(&vector["client"], &call, server).open().unwrap();
    let items = Arc::new(Mutex::new(Vec::new()));
    let operation = tokio::spawn(operate(
        client,
        call,
        cancel["after_items"].as_u64(),
        Arc::clone(&items),
    ));
    if let Some(calls) = cancel["after_call"].as_u64() {
        server.wait_for_calls(calls as usize).await;
        operation.abort();
    }
    let mut outcome = match operation.await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => json!({"error": outcome::error(&error)}),
        Err(ended) if ended.is_cancelled() => json!({"cancelled": true}),
        Err(ended) => panic!("{ended}"),
    };
    let items = std::mem::take(&mut *items.lock().unwrap());
    if outcome.get("result").is_none() {
        outcome["items"] = Value::Array(items);
    }
    outcome
}

fn options(settings: &Value, call: &Value, server: &ScriptedServer) -> ClientOptions {
    let attempts = CallAttempts {
        max: Some(3),
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(5),
    };
    let mut options = ClientOptions::new(format!("factum://{}", server.address()))
        .attempts(attempts.clone())
        .reconnect(attempts)
        .timeout(milliseconds(&call["timeout_ms"]));
    if let Some(silence) = milliseconds(&settings["silence_ms"]) {
        options = options.silence(silence);
    }
    let credentials = &settings["credentials"];
    if let Some(token) = credentials["token"].as_str() {
        options = options.token(token);
    }
    if let Some(user) = credentials["user"].as_str() {
        options = options.basic(user, text(&credentials["password"]));
    }
    options
}

type Items = Arc<Mutex<Vec<Value>>>;

async fn operate(
    client: Client,
    call: Value,
    limit: Option<u64>,
    items: Items,
) -> Result<Value, ClientError> {
    let stream = call["stream"].as_str().unwrap_or_default();
    let result = match text(&call["operation"]).as_str() {
        "append" => outcome::appended(&append(&client, &[&call], &call).await?),
        "append_streams" => {
            let streams: Vec<&Value> = list(&call["streams"]).collect();
            outcome::appended(&append(&client, &streams, &call).await?)
        }
        "head" => json!(client.head().await?),
        "describe_stream" => outcome::description(&client.describe_stream(stream).await?),
        "server_info" => outcome::server(&client.server_info().await?),
        "list_streams" => {
            let mut list = client.list_streams();
            if let Some(category) = call["category"].as_str() {
                list = list.category(category);
            }
            if let Some(size) = call["page_size"].as_u64() {
                list = list.page_size(size as u32);
            }
            take(list.start(), limit, &items, outcome::summary).await?;
            return Ok(json!({}));
        }
        "subscribe" => {
            take(subscribe(&client, &call), limit, &items, outcome::message).await?;
            return Ok(json!({}));
        }
        "read_stream" => {
            let mut read = client.read_stream(stream);
            if call["must_exist"] == true {
                read = read.must_exist();
            }
            let mut events = read_options!(read, call).start();
            take(&mut events, limit, &items, outcome::event).await?;
            return Ok(json!({"head": events.head(), "more": events.has_more()}));
        }
        "read_all" => {
            let mut read = client.read_all();
            if !call["query"].is_null() {
                read = read.query(&query(&call["query"]));
            }
            if !call["streams"].is_null() {
                read = read.streams(list(&call["streams"]).map(text));
            }
            let mut events = read_options!(read, call).start();
            take(&mut events, limit, &items, outcome::event).await?;
            return Ok(json!({"head": events.head(), "more": events.has_more()}));
        }
        "consume" => {
            consume(&client, &call, limit, &items).await?;
            return Ok(json!({}));
        }
        other => return groups(&client.groups(), other, &call, &items).await,
    };
    Ok(json!({ "result": result }))
}

/// Notes the items until the limit or the end.
async fn take<T>(
    mut stream: impl Stream<Item = Result<T, ClientError>> + Unpin,
    limit: Option<u64>,
    items: &Items,
    plain: impl Fn(&T) -> Value,
) -> Result<(), ClientError> {
    while limit != Some(items.lock().unwrap().len() as u64) {
        let Some(item) = stream.next().await else {
            return Ok(());
        };
        items.lock().unwrap().push(plain(&item?));
    }
    Ok(())
}

async fn append(
    client: &Client,
    streams: &[&Value],
    call: &Value,
) -> Result<factum_store_client::Appended, ClientError> {
    let add = |append: Option<AppendCall>, part: &Value| {
        let (stream, expected) = (text(&part["stream"]), expected(&part["expected"]));
        let events: Vec<EventData> = list(&part["events"]).map(event).collect();
        match append {
            None => client.append(stream, expected, events),
            Some(append) => append.stream(stream, expected, events),
        }
    };
    let parts = streams
        .iter()
        .fold(None, |append, part| Some(add(append, part)));
    let mut append = parts.unwrap();
    let condition = &call["condition"];
    if !condition.is_null() {
        let after = Position::new(condition["after"].as_u64().unwrap());
        append = append.condition(&query(&condition["query"]), after);
    }
    for id in list(&call["required_events"]) {
        append = append.require_event(text(id).parse().unwrap());
    }
    match call.get("idempotency_key") {
        None => {}
        Some(Value::Null) => append = append.without_key(),
        Some(key) => append = append.idempotency_key(text(key)),
    }
    append.await
}

fn subscribe(client: &Client, call: &Value) -> factum_store_client::LogSubscription {
    let mut subscribe = client.subscribe();
    if !call["query"].is_null() {
        subscribe = subscribe.query(&query(&call["query"]));
    }
    if let Some(after) = call["after"].as_u64() {
        subscribe = subscribe.after(Position::new(after));
    }
    if call["live_only"] == true {
        subscribe = subscribe.live_only();
    }
    if let Some(heartbeat) = milliseconds(&call["heartbeat_ms"]) {
        subscribe = subscribe.heartbeat(heartbeat);
    }
    if let Some(events) = call["max_batch"].as_u64() {
        subscribe = subscribe.max_batch(events as u32);
    }
    subscribe.start()
}

async fn consume(
    client: &Client,
    call: &Value,
    limit: Option<u64>,
    items: &Items,
) -> Result<(), ClientError> {
    let mut consumer = client.consume(text(&call["group"]));
    if let Some(name) = call["consumer"].as_str() {
        consumer = consumer.name(name);
    }
    if let Some(credit) = call["credit"].as_u64() {
        consumer = consumer.credit(credit as u32);
    }
    if let Some(timeout) = milliseconds(&call["session_timeout_ms"]) {
        consumer = consumer.session_timeout(timeout);
    }
    if let Some(heartbeat) = milliseconds(&call["heartbeat_ms"]) {
        consumer = consumer.heartbeat(heartbeat);
    }
    let mut consumer = consumer.start();
    let mut answers = list(&call["answers"]);
    while limit != Some(items.lock().unwrap().len() as u64) {
        let Some(delivery) = consumer.next().await else {
            return Ok(());
        };
        let delivery = delivery?;
        items.lock().unwrap().push(outcome::delivery(&delivery));
        match answers.next().unwrap_or(&Value::Null) {
            Value::Null => {}
            Value::String(_) => delivery.ack(),
            answer => delivery.nack(nack_action(answer)),
        }
    }
    consumer.leave().await;
    Ok(())
}

fn nack_action(answer: &Value) -> NackAction {
    let action = match text(&answer["action"]).as_str() {
        "retry" => match milliseconds(&answer["retry_after_ms"]) {
            Some(pause) => NackAction::retry_after(pause),
            None => NackAction::retry(),
        },
        "dead_letter" => NackAction::dead_letter(),
        "skip" => NackAction::skip(),
        "stop" => NackAction::stop(),
        other => panic!("unknown action {other}"),
    };
    match answer["reason"].as_str() {
        Some(reason) => action.reason(reason),
        None => action,
    }
}

async fn groups(
    groups: &GroupAdmin,
    operation: &str,
    call: &Value,
    items: &Items,
) -> Result<Value, ClientError> {
    let name = call["name"].as_str().unwrap_or_default();
    let group = call["group"].as_str().unwrap_or_default();
    let size = call["page_size"].as_u64().unwrap_or_default() as u32;
    let positions: Vec<Position> = list(&call["positions"])
        .map(|position| Position::new(position.as_u64().unwrap()))
        .collect();
    let result = match operation {
        "create_group" => outcome::group(
            &groups
                .create(name, group_options(&call["settings"]))
                .await?,
        ),
        "update_group" => {
            let options = group_options(&call["settings"]);
            let generation = call["if_generation"].as_u64();
            outcome::group(&groups.update(name, options, generation).await?)
        }
        "describe_group" => outcome::group(&groups.describe(name).await?),
        "reset_group" => {
            let after = Position::new(call["after"].as_u64().unwrap());
            outcome::group(&groups.reset(name, after).await?)
        }
        "resume_group" => outcome::group(&groups.resume(name).await?),
        "delete_group" => json!(groups.delete(name).await?),
        "retry_dead_letters" => json!(groups.retry_dead_letters(group, positions).await?),
        "discard_dead_letters" => json!(groups.discard_dead_letters(group, positions).await?),
        "list_groups" => {
            take(groups.list(size), None, items, outcome::group_item).await?;
            return Ok(json!({}));
        }
        "list_dead_letters" => {
            let letters = groups.dead_letters(group, size);
            take(letters, None, items, outcome::dead_letter).await?;
            return Ok(json!({}));
        }
        other => panic!("unknown operation {other}"),
    };
    Ok(json!({ "result": result }))
}

fn group_options(settings: &Value) -> GroupOptions {
    let mut options = GroupOptions::new();
    for (name, value) in settings.as_object().unwrap() {
        let number = value.as_u64().unwrap_or_default();
        let (count, pause) = (number as u32, Duration::from_millis(number));
        options = match name.as_str() {
            "query" => options.query(&query(value)),
            "after" => options.after(Position::new(number)),
            "live_only" => options.live_only(),
            "partitions" => options.partitions(count),
            "partition_key" => options.partition_key(match text(value).as_str() {
                "stream" => PartitionKey::Stream,
                "correlation_id" => PartitionKey::CorrelationId,
                "tag" => PartitionKey::Tag,
                _ => PartitionKey::None,
            }),
            "partition_tag" => options.partition_by_tag(text(value)),
            "ack_timeout_ms" => options.ack_timeout(pause),
            "max_attempts" => options.max_attempts(count),
            "min_backoff_ms" => options.min_backoff(pause),
            "max_backoff_ms" => options.max_backoff(pause),
            "max_in_flight" => options.max_in_flight(count),
            "max_consumers" => options.max_consumers(count),
            other => panic!("unknown setting {other}"),
        };
    }
    options
}

fn event(value: &Value) -> EventData {
    let event_type = text(&value["event_type"]);
    let mut event = match value["data_base64"].as_str() {
        Some(data) => {
            let data = STANDARD.decode(data).unwrap();
            EventData::bytes(event_type, text(&value["content_type"]), data)
        }
        None => EventData::json(event_type, &value["data"]).unwrap(),
    };
    if let Some(id) = value["id"].as_str() {
        event = event.id(id.parse().unwrap());
    }
    if let Some(version) = value["schema_version"].as_u64() {
        event = event.schema_version(version as u32);
    }
    for tag in list(&value["tags"]) {
        event = event.tag(text(tag));
    }
    if let Some(fields) = value["metadata"].as_object() {
        event = event.metadata(&metadata(fields));
    }
    event
}

fn metadata(fields: &Map<String, Value>) -> Metadata {
    let mut fields = fields.clone();
    let foreign = fields.remove("foreign_base64");
    let mut metadata: Metadata = serde_json::from_value(Value::Object(fields)).unwrap();
    if let Some(foreign) = foreign {
        metadata.foreign = STANDARD.decode(text(&foreign)).unwrap().into();
    }
    metadata
}

fn expected(value: &Value) -> ExpectedVersion {
    match value.as_str() {
        Some("any") => ExpectedVersion::Any,
        Some("no_stream") => ExpectedVersion::NoStream,
        Some("stream_exists") => ExpectedVersion::StreamExists,
        _ => ExpectedVersion::Exact(Version::new(value.as_u64().unwrap())),
    }
}

fn query(items: &Value) -> Query {
    let item = |value: &Value| {
        let tags = list(&value["tags"]).map(|tag| Tag::try_from(text(tag)).unwrap());
        QueryItem {
            category: value["category"].as_str().map(str::to_owned),
            stream_prefix: value["stream_prefix"].as_str().map(str::to_owned),
            event_types: list(&value["event_types"]).map(text).collect(),
            tags: tags.collect(),
        }
    };
    let items = list(items).map(|value| Query::from(item(value)));
    items.reduce(Query::or).unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn milliseconds(value: &Value) -> Option<Duration> {
    value.as_u64().map(Duration::from_millis)
}
