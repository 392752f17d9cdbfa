//! The recorded positions of upstream sources: documents that change in the same append.

use factum::store::{Document, DocumentChanges, Revision, Store, encode_document};
use factum_compatible_protocols::umadb::TrackingInfo;
use serde::{Deserialize, Serialize};
use tonic::Status;

use super::error::{integrity, invalid, store_failed};

/// The maximum length of a source, in bytes.
const MAX_SOURCE: usize = 255;

/// The value of a document.
#[derive(Serialize, Deserialize)]
struct StoredTracking {
    position: u64,
}

/// Returns the recorded position of `source`.
pub async fn recorded(store: &dyn Store, source: &str) -> Result<Option<u64>, Status> {
    check_source(source)?;
    Ok(find(store, source).await?.map(|(_, position)| position))
}

/// Checks the position of a source that a client sends with an append.
pub fn check(tracking: Option<&TrackingInfo>) -> Result<(), Status> {
    tracking.map_or(Ok(()), |tracking| check_source(&tracking.source))
}

/// Returns the change that records the position if the recorded one is still the same.
///
/// The position must be higher than the recorded one.
pub async fn advance(
    store: &dyn Store,
    tracking: &TrackingInfo,
) -> Result<DocumentChanges, Status> {
    let TrackingInfo { source, position } = tracking;
    let found = find(store, source).await?;
    if let Some((_, recorded)) = found
        && *position <= recorded
    {
        return Err(integrity(format!(
            "non-increasing tracking position of source {source:?}: {position}; the recorded position is {recorded}"
        )));
    }
    let revision = found.map_or(Revision::ABSENT, |(revision, _)| revision);
    let value = encode_document(&StoredTracking {
        position: *position,
    });
    let value = value.map_err(|error| store_failed(&error))?;
    Ok(DocumentChanges::new().put_if(key(source), revision, value))
}

async fn find(store: &dyn Store, source: &str) -> Result<Option<(Revision, u64)>, Status> {
    let found = store.find_documents(&[key(source)]).await;
    let found = found.map_err(|error| store_failed(&error))?;
    let decode = |document: &Document| {
        let recorded: StoredTracking = document.decode()?;
        Ok((document.revision, recorded.position))
    };
    let found = found.first().map(decode).transpose();
    found.map_err(|error| store_failed(&error))
}

fn key(source: &str) -> String {
    format!("umadb/tracking/{source}")
}

fn check_source(source: &str) -> Result<(), Status> {
    if source.len() > MAX_SOURCE {
        let rule = format!("expected at most {MAX_SOURCE} bytes, got {}", source.len());
        return Err(invalid("tracking source", rule));
    }
    match source.contains(char::is_control) {
        true => Err(invalid(
            "tracking source",
            "control characters are not allowed",
        )),
        false => Ok(()),
    }
}
