//! Events as the server packs them: a page is one value, since each row of an answer costs the server and the driver
//! as much as what is in it.
//!
//! An event is what has a fixed size, then, where it is as most are, three texts with a zero behind each, which no text
//! holds; otherwise a zero, and a record in the form of `record_send`. See `sql/packed.sql`.

use bytes::Bytes;
use uuid::Uuid;

use crate::error::Fault;

/// Packs the rows of `e`; `e.fits` tells whether the data are wanted.
pub(crate) const PACKED: &str = include_str!("sql/packed.sql");

/// An event, by the places of its parts.
pub(crate) struct Row<'a> {
    pub(crate) position: i64,
    pub(crate) stream: i64,
    pub(crate) version: i64,
    pub(crate) id: Uuid,
    pub(crate) recorded_at: i64,
    pub(crate) name: &'a [u8],
    pub(crate) metadata: &'a [u8],
    pub(crate) schema_version: i64,
    pub(crate) content_type: Option<&'a [u8]>,
    pub(crate) tags: Option<&'a [u8]>,
    pub(crate) data: Option<&'a [u8]>,
    pub(crate) bytes: Option<&'a [u8]>,
    /// Whether its data are here.
    pub(crate) fits: bool,
}

/// The events in `packed`.
pub(crate) fn rows(packed: &Bytes) -> Result<Vec<Row<'_>>, Fault> {
    let mut rest = Rest(packed);
    let mut rows = Vec::new();
    while !rest.0.is_empty() {
        let row = rest
            .row()
            .ok_or_else(|| Fault::corrupt("a page that ends too early"));
        rows.push(row?);
    }
    Ok(rows)
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn row(&mut self) -> Option<Row<'a>> {
        let mut row = Row {
            position: self.number()?,
            stream: self.number()?,
            version: self.number()?,
            id: Uuid::from_bytes(self.array()?),
            recorded_at: self.number()?,
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

    fn record(&mut self, mut row: Row<'a>) -> Option<Row<'a>> {
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

    /// Up to the next zero.
    fn text(&mut self) -> Option<&'a [u8]> {
        let end = memchr(self.0)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Some(text)
    }

    /// A column of a record: its type, its length or -1 for null, its bytes.
    fn column(&mut self) -> Option<Option<&'a [u8]>> {
        let _type: [u8; 4] = self.array()?;
        match i32::from_be_bytes(self.array()?) {
            -1 => Some(None),
            length => self.take(usize::try_from(length).ok()?).map(Some),
        }
    }

    fn number(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

/// Where the first zero is.
fn memchr(bytes: &[u8]) -> Option<usize> {
    // Of the standard library, this looks at more than one byte at a time.
    std::ffi::CStr::from_bytes_until_nul(bytes)
        .ok()
        .map(std::ffi::CStr::count_bytes)
}
