//! [`EventRows`]: events as the arrays that a statement takes.

use std::sync::Arc;

use factum::{ContentType, Metadata, NewEvent, Tag};
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

use crate::error::Fault;

/// One array for each column. Columns that hold nothing but what is usual stay empty, which the server reads as
/// null, and costs nothing.
#[derive(Default)]
pub(crate) struct EventRows {
    ids: Vec<Uuid>,
    names: Vec<String>,
    schema_versions: Sparse<i64>,
    content_types: Sparse<String>,
    data: Vec<Option<String>>,
    bytes: Sparse<Vec<u8>>,
    metadata: Vec<String>,
    tags: Sparse<String>,
    text: MetadataText,
}

impl EventRows {
    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(crate) fn add(&mut self, event: &NewEvent) -> Result<(), Fault> {
        let row = self.ids.len();
        let (content_type, data, bytes) = match &event.content_type {
            ContentType::Json => {
                let text = std::str::from_utf8(&event.data).map_err(Fault::corrupt)?;
                (None, Some(text.to_owned()), None)
            }
            other => (Some(other.to_string()), None, Some(event.data.to_vec())),
        };
        self.ids.push(event.id);
        self.names.push(event.name.to_string());
        let unusual = (event.schema_version != 1).then_some(i64::from(event.schema_version));
        self.schema_versions.put(row, unusual);
        self.content_types.put(row, content_type);
        self.data.push(data);
        self.bytes.put(row, bytes);
        self.metadata.push(self.text.of(event)?);
        let tags: Vec<&str> = event.tags.iter().map(Tag::as_str).collect();
        let tags = (!tags.is_empty()).then(|| tags.join("\n"));
        self.tags.put(row, tags);
        Ok(())
    }

    /// id, name, schema version, content type, data, bytes, metadata, tags.
    pub(crate) fn bind<'q>(
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

/// A column that ends with its last value.
struct Sparse<T>(Vec<Option<T>>);

impl<T> Default for Sparse<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Sparse<T> {
    fn put(&mut self, row: usize, value: Option<T>) {
        if value.is_some() {
            self.0.resize_with(row, || None);
            self.0.push(value);
        }
    }
}

/// The text of the metadata that the events of one append share.
#[derive(Default)]
struct MetadataText(Option<(Arc<Metadata>, String)>);

impl MetadataText {
    fn of(&mut self, event: &NewEvent) -> Result<String, Fault> {
        if let Some((metadata, text)) = &self.0
            && Arc::ptr_eq(metadata, &event.metadata)
        {
            return Ok(text.clone());
        }
        let text = serde_json::to_string(&*event.metadata).map_err(Fault::corrupt)?;
        self.0 = Some((event.metadata.clone(), text.clone()));
        Ok(text)
    }
}
