//! The results of the client in the form of the vectors.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use factum_store_client::{
    Appended, ClientError, ErrorKind, ExpectedVersion, FailedEvent, Group, GroupDelivery, Metadata,
    RecordedEvent, ServerDescription, StopReason, StreamDescription, StreamSummary,
    SubscriptionMessage, UnmetExpectation,
};
use serde_json::{Value, json};

/// Returns the first difference between a part of an outcome and the expectation.
pub fn difference(path: &str, expected: &Value, found: &Value) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            expected.iter().find_map(|(key, value)| {
                let part = found.get(key).unwrap_or(&Value::Null);
                difference(&format!("{path}.{key}"), value, part)
            })
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let mut pairs = expected.iter().zip(found).enumerate();
            pairs.find_map(|(index, (expected, found))| {
                difference(&format!("{path}[{index}]"), expected, found)
            })
        }
        _ if expected == found => None,
        _ => Some(format!("{path} is {found}; expected {expected}")),
    }
}

pub fn appended(appended: &Appended) -> Value {
    let versions = appended.versions.iter();
    let versions = versions.map(|(stream, version)| (stream.to_string(), json!(version.get())));
    json!({
        "position": appended.position.get(),
        "count": appended.count,
        "versions": versions.collect::<serde_json::Map<_, _>>(),
        "repeated": appended.repeated,
        "recorded_at": appended.recorded_at.to_string(),
    })
}

pub fn event(event: &RecordedEvent) -> Value {
    let mut value = json!({
        "position": event.position.get(),
        "stream": event.stream.as_str(),
        "version": event.version.get(),
        "id": event.id.to_string(),
        "event_type": event.name,
        "schema_version": event.schema_version,
        "content_type": event.content_type.as_str(),
        "tags": event.tags,
        "metadata": metadata(&event.metadata),
        "recorded_at": event.recorded_at.to_string(),
    });
    match serde_json::from_slice::<Value>(&event.data) {
        Ok(data) => value["data"] = data,
        Err(_) => value["data_base64"] = json!(STANDARD.encode(&event.data)),
    }
    json!({ "event": value })
}

fn metadata(metadata: &Metadata) -> Value {
    let mut value = serde_json::to_value(metadata).unwrap();
    value["extra"] = json!(metadata.extra);
    value["foreign_base64"] = json!(STANDARD.encode(&metadata.foreign));
    value
}

pub fn message(message: &SubscriptionMessage) -> Value {
    let position = message.position().get();
    match message {
        SubscriptionMessage::Event(recorded) => event(recorded),
        SubscriptionMessage::CaughtUp { .. } => json!({"caught_up": {"position": position}}),
        SubscriptionMessage::FellBehind { head, .. } => {
            json!({"fell_behind": {"position": position, "head": head}})
        }
        SubscriptionMessage::Checkpoint { .. } => json!({"checkpoint": {"position": position}}),
        other => panic!("unknown message {other:?}"),
    }
}

pub fn summary(summary: &StreamSummary) -> Value {
    json!({"stream": {
        "stream": summary.stream,
        "version": summary.version,
        "position": summary.position,
    }})
}

pub fn description(stream: &StreamDescription) -> Value {
    json!({
        "stream": stream.stream,
        "version": stream.version,
        "position": stream.position,
        "changed_at": stream.changed_at.to_string(),
    })
}

pub fn delivery(delivery: &GroupDelivery) -> Value {
    let event = event(&delivery.event)["event"].take();
    json!({"delivery": {"event": event, "attempt": delivery.attempt}})
}

pub fn group(group: &Group) -> Value {
    let consumers = group.consumers.iter().map(|consumer| {
        json!({
            "name": consumer.name,
            "partitions": consumer.partitions,
            "in_flight": consumer.in_flight,
        })
    });
    let stopped = group.stopped.as_ref().map(|stopped| {
        json!({
            "reason": stop_reason(stopped.reason()),
            "message": stopped.message,
            "position": stopped.position,
        })
    });
    json!({
        "name": group.name,
        "generation": group.generation,
        "position": group.position,
        "head": group.head,
        "lag": group.lag,
        "dead_letters": group.dead_letters,
        "consumers": consumers.collect::<Vec<_>>(),
        "stopped": stopped,
    })
}

pub fn group_item(value: &Group) -> Value {
    json!({ "group": group(value) })
}

pub fn dead_letter(letter: &FailedEvent) -> Value {
    let recorded = letter.event.as_ref();
    json!({"dead_letter": {
        "event": recorded.map(|recorded| event(recorded)["event"].take()),
        "position": letter.position,
        "partition": letter.partition,
        "attempts": letter.attempts,
        "reason": letter.reason,
        "failed_at": letter.failed_at.to_string(),
    }})
}

fn stop_reason(reason: StopReason) -> String {
    match reason {
        StopReason::Unspecified => "unknown".to_owned(),
        reason => {
            let name = reason.as_str_name().to_lowercase();
            name.trim_start_matches("stop_reason_").to_owned()
        }
    }
}

pub fn server(info: &ServerDescription) -> Value {
    json!({
        "version": info.version,
        "backend": info.backend,
        "features": info.features,
        "max_append_events": info.max_append_events,
        "max_message_bytes": info.max_message_bytes,
    })
}

pub fn error(error: &ClientError) -> Value {
    let mut value = match error.kind() {
        ErrorKind::Conflict {
            violations,
            omitted,
        } => json!({
            "kind": "conflict",
            "violations": violations.iter().map(violation).collect::<Vec<_>>(),
            "omitted": omitted,
        }),
        ErrorKind::KeyReused { key } => json!({"kind": "key_reused", "key": key}),
        ErrorKind::EventIdReused { id, position } => {
            json!({"kind": "event_id_reused", "id": id, "position": position})
        }
        ErrorKind::BeyondHead { position, head } => {
            json!({"kind": "beyond_head", "position": position, "head": head})
        }
        ErrorKind::InvalidArgument { fields } => {
            let fields = fields
                .iter()
                .map(|f| json!({"field": f.field, "rule": f.rule}));
            json!({"kind": "invalid_argument", "fields": fields.collect::<Vec<_>>()})
        }
        ErrorKind::GroupChanged { expected, actual } => {
            json!({"kind": "group_changed", "expected": expected, "actual": actual})
        }
        ErrorKind::GroupStopped { reason, position } => json!({
            "kind": "group_stopped",
            "reason": stop_reason(*reason),
            "position": position,
        }),
        ErrorKind::PermissionDenied {
            principal,
            permission,
            resource,
        } => json!({
            "kind": "permission_denied",
            "principal": principal,
            "permission": permission,
            "resource": resource,
        }),
        other => json!({"kind": kind(other)}),
    };
    value["message"] = json!(error.message());
    value
}

fn kind(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not_found",
        ErrorKind::GroupExists => "group_exists",
        ErrorKind::ProjectionRejected => "projection_rejected",
        ErrorKind::ReadOnly => "read_only",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::Unauthenticated => "unauthenticated",
        ErrorKind::ResourceExhausted => "resource_exhausted",
        ErrorKind::DeadlineExceeded => "deadline_exceeded",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Interrupted => "interrupted",
        ErrorKind::Protocol => "protocol",
        ErrorKind::Failed => "failed",
        other => panic!("unknown kind {other:?}"),
    }
}

fn violation(violation: &UnmetExpectation) -> Value {
    match violation {
        UnmetExpectation::Version {
            stream,
            expected,
            actual,
        } => json!({
            "kind": "version",
            "stream": stream,
            "expected": expected_version(*expected),
            "actual": actual,
        }),
        UnmetExpectation::Condition { found } => json!({"kind": "condition", "found": found}),
        UnmetExpectation::Document {
            key,
            expected,
            actual,
        } => json!({"kind": "document", "key": key, "expected": expected, "actual": actual}),
        UnmetExpectation::Transaction { message } => {
            json!({"kind": "transaction", "message": message})
        }
        UnmetExpectation::MissingEvent { id } => json!({"kind": "missing_event", "id": id}),
        UnmetExpectation::Unknown => json!({"kind": "unknown"}),
        other => panic!("unknown violation {other:?}"),
    }
}

fn expected_version(expected: Option<ExpectedVersion>) -> Value {
    match expected {
        None => json!("unknown"),
        Some(ExpectedVersion::Any) => json!("any"),
        Some(ExpectedVersion::NoStream) => json!("no_stream"),
        Some(ExpectedVersion::StreamExists) => json!("stream_exists"),
        Some(ExpectedVersion::Exact(version)) => json!(version),
    }
}
