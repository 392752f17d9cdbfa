//! Decoding of [`Appended`], the result of an append.

use factum_core::append::Appended;
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::error::BackendError;

/// Decodes the columns `position`, `count`, `recorded_at` and `versions` of `row`.
///
/// The last column has a version for each of `streams`.
pub fn decode(
    row: &PgRow,
    streams: Vec<StreamId>,
    repeated: bool,
) -> Result<Appended, BackendError> {
    let versions: Option<Vec<i64>> = row.try_get("versions")?;
    let versions = versions.unwrap_or_default().into_iter();
    let versions = versions.map(|version| Version::new(version as u64));
    Ok(Appended {
        position: Position::new(row.try_get::<i64, _>("position")? as u64),
        count: row.try_get::<i64, _>("count")? as u64,
        versions: streams.into_iter().zip(versions).collect(),
        recorded_at: Timestamp::from_micros(row.try_get("recorded_at")?),
        repeated,
    })
}
