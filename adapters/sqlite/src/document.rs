//! Documents in the table `factum_document`.

use std::collections::HashMap;

use factum_core::document::{
    Document, DocumentChanges, DocumentEffect, DocumentError, MAX_SCAN, MAX_SCAN_BYTES, Revision,
    Scan,
};
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::error::BackendError;

/// Returns the documents `keys`, as far as they exist.
pub fn find<'k>(
    db: &Connection,
    keys: impl IntoIterator<Item = &'k str>,
) -> Result<Vec<Document>, BackendError> {
    let sql = "select key, revision, value from factum_document where key = ?";
    let mut statement = db.prepare_cached(sql)?;
    let mut found = Vec::new();
    for key in keys {
        let document = statement.query_row([key], |row| Ok(decode(row)));
        found.extend(document.optional()?.transpose()?);
    }
    Ok(found)
}

/// Returns a page of the documents that `scan` selects, in the order of their keys.
pub fn scan(db: &Connection, scan: &Scan) -> Result<Vec<Document>, BackendError> {
    let mut statement = db.prepare_cached(include_str!("sql/scan_documents.sql"))?;
    let limit = scan.limit.min(MAX_SCAN) as i64;
    let bounds = (&scan.prefix, scan.end(), &scan.after, limit);
    let mut rows = statement.query(bounds)?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while bytes < MAX_SCAN_BYTES
        && let Some(row) = rows.next()?
    {
        let document = decode(row)?;
        bytes += document.value.len();
        page.push(document);
    }
    Ok(page)
}

fn decode(row: &Row<'_>) -> Result<Document, BackendError> {
    let key: String = row.get(0)?;
    let columns = || -> Result<_, BackendError> {
        let revision: i64 = row.get(1)?;
        let revision = u64::try_from(revision).map(Revision::new);
        Ok((revision.map_err(BackendError::corrupt)?, row.get(2)?))
    };
    let add_key = |error| match error {
        BackendError::Corrupt(reason) => {
            BackendError::corrupt(format!("document {key:?}: {reason}"))
        }
        other => other,
    };
    let (revision, value) = columns().map_err(add_key)?;
    Ok(Document {
        key,
        revision,
        value,
    })
}

/// Makes `changes` if every document is at its required revision; otherwise changes nothing.
///
/// Must run in a transaction that holds the write lock.
pub fn change(
    db: &Connection,
    changes: &DocumentChanges,
) -> Result<Result<Revision, DocumentError>, BackendError> {
    if let Some(moved) = find_moved(db, changes)? {
        return Ok(Err(moved));
    }
    let sql = "update factum_revision set last = last + 1 returning last";
    let revision: i64 = db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    for change in changes.as_slice() {
        match &change.effect {
            DocumentEffect::Put(value) => {
                let mut put = db.prepare_cached(include_str!("sql/put_document.sql"))?;
                put.execute((&change.key, revision, value))?;
            }
            DocumentEffect::Delete => {
                let sql = "delete from factum_document where key = ?";
                db.prepare_cached(sql)?.execute([&change.key])?;
            }
            DocumentEffect::Keep => {}
        }
    }
    let revision = u64::try_from(revision).map_err(BackendError::corrupt)?;
    Ok(Ok(Revision::new(revision)))
}

/// Returns the error for the first document that is not at its required revision.
fn find_moved(
    db: &Connection,
    changes: &DocumentChanges,
) -> Result<Option<DocumentError>, BackendError> {
    let required = changes.as_slice().iter();
    let required = required.filter(|change| change.expected.is_some());
    let sql = "select revision from factum_document where key = ?";
    let mut statement = db.prepare_cached(sql)?;
    let mut found = HashMap::new();
    for change in required {
        let revision: Option<i64> = statement
            .query_row([&change.key], |row| row.get(0))
            .optional()?;
        let revision = u64::try_from(revision.unwrap_or(0)).map_err(BackendError::corrupt)?;
        found.insert(&*change.key, Revision::new(revision));
    }
    Ok(changes.revision_conflict(|key| found.get(key).copied().unwrap_or_default()))
}
