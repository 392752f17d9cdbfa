//! The conversion of records.

use bytes::Bytes;
use factum::store::{MAX_APPEND_BYTES, MAX_EVENT_DATA, NewEvent, new_event_id};
use factum_compatible_protocols::kurrentdb::v2::streams::{AppendRecord, SchemaFormat, SchemaInfo};
use prost_types::value::Kind;
use serde_json::{Map, Number, Value};
use tonic::Status;
use uuid::Uuid;

use super::super::errors::Refused;
use super::super::event::new_event;
use super::errors;

/// The largest integer up to which a number of the protocol is exact: 2⁵³.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// The size of the events of an append, which has a limit.
#[derive(Debug, Default)]
pub struct AppendSize(usize);

impl AppendSize {
    fn add(&mut self, size: usize) -> Result<(), Refused> {
        self.0 += size;
        match self.0 > MAX_APPEND_BYTES {
            true => Err(Refused::TooLarge { size: self.0 }),
            false => Ok(()),
        }
    }
}

/// Converts a record of `stream`.
///
/// # Errors
/// Returns the status of the call if the record is not valid or too large.
pub fn event(
    stream: &str,
    record: AppendRecord,
    limit: &mut AppendSize,
) -> Result<NewEvent, Status> {
    let invalid = |rule: String| errors::status(&Refused::Invalid(rule));
    let id = match &record.record_id {
        Some(id) if !id.is_empty() => Uuid::parse_str(id)
            .map_err(|error| invalid(format!("invalid record id {id:?}: {error}")))?,
        _ => new_event_id(),
    };
    let schema = record
        .schema
        .ok_or_else(|| invalid(format!("record {id} has no schema")))?;
    let format = SchemaFormat::try_from(schema.format);
    let format =
        format.map_err(|_| invalid(format!("unknown schema format: {}", schema.format)))?;
    if record.data.len() > MAX_EVENT_DATA {
        return Err(errors::record_too_large(
            stream,
            id.to_string(),
            record.data.len(),
        ));
    }
    let content_type = match format {
        SchemaFormat::Json => "application/json",
        _ => "application/octet-stream",
    };
    let mut properties = schema_properties(&schema, format);
    for (name, value) in record.properties {
        properties.insert(name, json(value));
    }
    let metadata = Bytes::from(Value::Object(properties).to_string());
    let event = new_event(id, schema.name, content_type, record.data, metadata);
    limit
        .add(event.size())
        .map_err(|refused| errors::status(&refused))?;
    Ok(event)
}

/// Returns the properties by which clients of version 1 see the schema.
fn schema_properties(schema: &SchemaInfo, format: SchemaFormat) -> Map<String, Value> {
    let format = match format {
        SchemaFormat::Json => "Json",
        SchemaFormat::Protobuf => "Protobuf",
        SchemaFormat::Avro => "Avro",
        SchemaFormat::Bytes | SchemaFormat::Unspecified => "Bytes",
    };
    let mut properties = Map::new();
    properties.insert("$schema.name".to_owned(), schema.name.clone().into());
    properties.insert("$schema.format".to_owned(), format.into());
    if let Some(id) = &schema.id {
        properties.insert("$schema.id".to_owned(), id.clone().into());
    }
    properties
}

fn json(value: prost_types::Value) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => value.into(),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::NumberValue(number)) if number.fract() == 0.0 && number.abs() <= MAX_EXACT => {
            (number as i64).into()
        }
        Some(Kind::NumberValue(number)) => {
            Number::from_f64(number).map_or(Value::Null, Value::Number)
        }
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json).collect(),
        Some(Kind::StructValue(fields)) => {
            let fields = fields
                .fields
                .into_iter()
                .map(|(name, value)| (name, json(value)));
            Value::Object(fields.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_the_metadata_of_the_event() {
        let number = prost_types::Value {
            kind: Some(Kind::NumberValue(5.0)),
        };
        let record = AppendRecord {
            record_id: Some(Uuid::from_u128(7).to_string()),
            properties: [("weight".to_owned(), number)].into(),
            schema: Some(SchemaInfo {
                format: SchemaFormat::Json.into(),
                name: "weighed".to_owned(),
                id: None,
            }),
            data: Bytes::from_static(b"{}"),
            stream: "hive-1".to_owned(),
        };
        let event = event("hive-1", record, &mut AppendSize::default()).unwrap();
        assert_eq!((event.id, &*event.name), (Uuid::from_u128(7), "weighed"));
        let metadata: Value = serde_json::from_slice(&event.metadata.foreign).unwrap();
        let expected = serde_json::json!({
            "$schema.format": "Json", "$schema.name": "weighed", "weight": 5,
        });
        assert_eq!(metadata, expected);
    }

    #[test]
    fn record_without_schema_is_refused() {
        let status = event(
            "hive-1",
            AppendRecord::default(),
            &mut AppendSize::default(),
        );
        assert_eq!(status.unwrap_err().code(), tonic::Code::InvalidArgument);
    }
}
