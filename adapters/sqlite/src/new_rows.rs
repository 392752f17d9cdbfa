//! [`NewRows`]: what a batch adds to each table.

use std::sync::Arc;

use factum::{ContentType, Metadata, NewEvent, StreamId};

use crate::connection::Connection;
use crate::error::Fault;
use crate::find::Answer;
use crate::rows::{Rows, Table};

static STREAMS: Table = Table::new("insert into factum_stream (key, id)", 2);
static EVENTS: Table = Table::new(include_str!("sql/insert_events.sql"), 11);
static EVENTS_AT_ONCE: Table = Table::at_once(include_str!("sql/insert_events.sql"), 11);
static TAGS: Table = Table::new("insert or ignore into factum_tag (position, tag)", 2);
static KEYS: Table = Table::new(include_str!("sql/insert_keys.sql"), 5);

/// The rows of a batch, by table.
pub(crate) struct NewRows {
    streams: Rows,
    events: Rows,
    tags: Rows,
    keys: Rows,
}

/// Where an event goes.
pub(crate) struct Place {
    pub(crate) position: i64,
    pub(crate) stream: i64,
    pub(crate) version: i64,
    pub(crate) recorded_at: i64,
}

impl NewRows {
    pub(crate) fn new() -> Self {
        Self {
            streams: Rows::new(&STREAMS),
            events: Rows::new(&EVENTS),
            tags: Rows::new(&TAGS),
            keys: Rows::new(&KEYS),
        }
    }

    pub(crate) fn add_stream(&mut self, key: i64, id: &StreamId) -> Result<(), Fault> {
        self.streams.begin();
        self.streams.add(key)?;
        self.streams.add(id.as_str())
    }

    pub(crate) fn add_key(&mut self, key: &str, answer: &Answer) -> Result<(), Fault> {
        let Answer {
            fingerprint,
            appended,
        } = answer;
        self.keys.begin();
        self.keys.add(key)?;
        self.keys.add(fingerprint.as_bytes().as_slice())?;
        self.keys.add(appended.position.get() as i64)?;
        self.keys.add(appended.count as i64)?;
        self.keys.add(appended.recorded_at.as_micros())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.keys.is_empty()
    }

    pub(crate) fn add_event(
        &mut self,
        event: &NewEvent,
        place: &Place,
        metadata: &mut MetadataText,
    ) -> Result<(), Fault> {
        let row = &mut self.events;
        row.begin();
        row.add(place.position)?;
        row.add(place.stream)?;
        row.add(place.version)?;
        row.add(event.id.hyphenated().encode_lower(&mut [0; 36]) as &str)?;
        row.add(&*event.name)?;
        row.add(i64::from(event.schema_version))?;
        match &event.content_type {
            ContentType::Json => {
                row.add(None::<&str>)?;
                row.add(std::str::from_utf8(&event.data).map_err(Fault::corrupt)?)?;
            }
            other => {
                row.add(other.as_str())?;
                row.add(&*event.data)?;
            }
        }
        row.add(metadata.of(event)?)?;
        let tags = (!event.tags.is_empty()).then(|| serde_json::to_string(&event.tags));
        row.add(tags.transpose().map_err(Fault::corrupt)?)?;
        row.add(place.recorded_at)?;
        for tag in &event.tags {
            self.tags.begin();
            self.tags.add(place.position)?;
            self.tags.add(tag.as_str())?;
        }
        Ok(())
    }

    /// Begin, events and commit as one call of the driver. There must be nothing else.
    pub(crate) async fn insert_at_once(self, connection: &mut Connection) -> Result<(), Fault> {
        self.events
            .by(&EVENTS_AT_ONCE)
            .insert(&mut connection.sqlite)
            .await
    }

    pub(crate) async fn insert(self, connection: &mut Connection) -> Result<(), Fault> {
        for rows in [self.streams, self.events, self.tags, self.keys] {
            rows.insert(&mut connection.sqlite).await?;
        }
        Ok(())
    }
}

/// The text of the metadata that the events of one append share.
#[derive(Default)]
pub(crate) struct MetadataText(Option<(Arc<Metadata>, Arc<str>)>);

impl MetadataText {
    fn of(&mut self, event: &NewEvent) -> Result<Arc<str>, Fault> {
        if let Some((metadata, text)) = &self.0
            && Arc::ptr_eq(metadata, &event.metadata)
        {
            return Ok(text.clone());
        }
        let text = serde_json::to_string(&*event.metadata).map_err(Fault::corrupt)?;
        let text: Arc<str> = text.into();
        self.0 = Some((event.metadata.clone(), text.clone()));
        Ok(text)
    }
}
