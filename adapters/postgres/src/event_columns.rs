//! [`EventColumns`]: new events as the array arguments of a statement.

use std::sync::Arc;

use factum_core::metadata::Metadata;
use factum_core::record::{ContentType, NewEvent};
use factum_core::tag::Tag;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

use crate::error::BackendError;

/// New events as one array for each column.
///
/// A column that holds only default values stays empty, which saves bytes. The statements read missing elements as
/// null.
#[derive(Default)]
pub struct EventColumns {
    ids: Vec<Uuid>,
    names: Vec<String>,
    schema_versions: SparseColumn<i64>,
    content_types: SparseColumn<String>,
    data: Vec<Option<String>>,
    bytes: SparseColumn<Vec<u8>>,
    metadata: Vec<String>,
    tags: SparseColumn<String>,
    encoded: MetadataCache,
}

impl EventColumns {
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub fn add(&mut self, event: &NewEvent) -> Result<(), BackendError> {
        let row = self.ids.len();
        let (content_type, data, bytes) = match &event.content_type {
            ContentType::Json => {
                let text = std::str::from_utf8(&event.data).map_err(BackendError::corrupt)?;
                (None, Some(text.to_owned()), None)
            }
            other => (Some(other.to_string()), None, Some(event.data.to_vec())),
        };
        self.ids.push(event.id);
        self.names.push(event.name.to_string());
        let schema_version = (event.schema_version != 1).then_some(i64::from(event.schema_version));
        self.schema_versions.set(row, schema_version);
        self.content_types.set(row, content_type);
        self.data.push(data);
        self.bytes.set(row, bytes);
        self.metadata.push(self.encoded.encode(event)?);
        let tags: Vec<&str> = event.tags.iter().map(Tag::as_str).collect();
        let tags = (!tags.is_empty()).then(|| tags.join("\n"));
        self.tags.set(row, tags);
        Ok(())
    }

    /// Binds id, name, schema version, content type, data, bytes, metadata and tags, in this order.
    pub fn bind<'q>(
        self,
        statement: Query<'q, Postgres, PgArguments>,
    ) -> Query<'q, Postgres, PgArguments> {
        statement
            .bind(self.ids)
            .bind(self.names)
            .bind(self.schema_versions.0)
            .bind(self.content_types.0)
            .bind(self.data)
            .bind(self.bytes.0)
            .bind(self.metadata)
            .bind(self.tags.0)
    }
}

/// A column without its trailing nulls.
struct SparseColumn<T>(Vec<Option<T>>);

impl<T> Default for SparseColumn<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> SparseColumn<T> {
    fn set(&mut self, row: usize, value: Option<T>) {
        if value.is_some() {
            self.0.resize_with(row, || None);
            self.0.push(value);
        }
    }
}

/// The encoded metadata of the last event, which the events of one append share.
#[derive(Default)]
struct MetadataCache(Option<(Arc<Metadata>, String)>);

impl MetadataCache {
    fn encode(&mut self, event: &NewEvent) -> Result<String, BackendError> {
        if let Some((metadata, text)) = &self.0
            && Arc::ptr_eq(metadata, &event.metadata)
        {
            return Ok(text.clone());
        }
        let text = serde_json::to_string(&*event.metadata).map_err(BackendError::corrupt)?;
        self.0 = Some((event.metadata.clone(), text.clone()));
        Ok(text)
    }
}
