//! [`EventRow`]: an event as the server encodes it.
//!
//! All events of a page arrive as one value, because each row of a result costs the server and the driver as much as
//! the data in it.
//!
//! An encoded event starts with its columns of fixed size. In the common case, three texts follow, each with a zero
//! byte after it; a PostgreSQL text cannot contain one. Otherwise a zero byte follows, and a record in the format of
//! `record_send`. See `sql/pack_events.sql`.

use bytes::Bytes;
use uuid::Uuid;

use crate::error::BackendError;

/// The SQL expression that encodes the rows of `e`.
///
/// The column `e.fits` says whether the data is included.
pub const PACK_EVENTS: &str = include_str!("sql/pack_events.sql");

/// An event, borrowed from an encoded page.
pub struct EventRow<'a> {
    pub position: i64,
    pub stream: i64,
    pub version: i64,
    pub id: Uuid,
    pub recorded_at: i64,
    pub name: &'a [u8],
    pub metadata: &'a [u8],
    pub schema_version: i64,
    pub content_type: Option<&'a [u8]>,
    pub tags: Option<&'a [u8]>,
    pub data: Option<&'a [u8]>,
    pub bytes: Option<&'a [u8]>,
    /// Set if the row includes its data.
    pub fits: bool,
}

/// Decodes all events of `packed`.
pub fn decode(packed: &Bytes) -> Result<Vec<EventRow<'_>>, BackendError> {
    let mut decoder = Decoder { rest: packed };
    let mut rows = Vec::new();
    while !decoder.rest.is_empty() {
        let row = decoder
            .event()
            .ok_or_else(|| BackendError::corrupt("truncated page of events"));
        rows.push(row?);
    }
    Ok(rows)
}

struct Decoder<'a> {
    /// The bytes that are not decoded yet.
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    fn event(&mut self) -> Option<EventRow<'a>> {
        let mut row = EventRow {
            position: self.integer()?,
            stream: self.integer()?,
            version: self.integer()?,
            id: Uuid::from_bytes(self.array()?),
            recorded_at: self.integer()?,
            name: self.text()?,
            metadata: &[],
            schema_version: 1,
            content_type: None,
            tags: None,
            data: None,
            bytes: None,
            fits: true,
        };
        if row.name.is_empty() {
            return self.record(row);
        }
        row.metadata = self.text()?;
        row.data = Some(self.text()?);
        Some(row)
    }

    fn record(&mut self, mut row: EventRow<'a>) -> Option<EventRow<'a>> {
        const COLUMNS: u32 = 8;
        if u32::from_be_bytes(self.array()?) != COLUMNS {
            return None;
        }
        row.name = self.column()??;
        row.metadata = self.column()??;
        row.schema_version = i64::from_be_bytes(self.column()??.try_into().ok()?);
        row.content_type = self.column()?;
        row.tags = self.column()?;
        row.data = self.column()?;
        row.bytes = self.column()?;
        row.fits = self.column()?? == [1];
        Some(row)
    }

    /// Reads up to the next zero byte, which is skipped.
    fn text(&mut self) -> Option<&'a [u8]> {
        let end = find_zero(self.rest)?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        Some(text)
    }

    /// Reads a column of a record: its type, its length (-1 for null), and its bytes.
    fn column(&mut self) -> Option<Option<&'a [u8]>> {
        let _type: [u8; 4] = self.array()?;
        match i32::from_be_bytes(self.array()?) {
            -1 => Some(None),
            length => self.bytes(usize::try_from(length).ok()?).map(Some),
        }
    }

    fn integer(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }
}

/// Returns the index of the first zero byte.
fn find_zero(bytes: &[u8]) -> Option<usize> {
    // `CStr` compares several bytes at a time, which no other search of the standard library does.
    std::ffi::CStr::from_bytes_until_nul(bytes)
        .ok()
        .map(std::ffi::CStr::count_bytes)
}
