//! Scans documents over any number of pages.

use factum_core::document::{Document, DocumentStore, Scan};
use factum_core::error::StoreError;

/// Returns all documents whose keys start with `prefix`, in the order of their keys.
pub async fn scan_all(
    documents: &dyn DocumentStore,
    prefix: impl Into<String>,
) -> Result<Vec<Document>, StoreError> {
    let (mut found, mut scan) = (Vec::new(), Scan::prefix(prefix));
    loop {
        let page = documents.scan_documents(scan.clone()).await?;
        let next = scan.next(&page);
        found.extend(page);
        match next {
            Some(next) => scan = next,
            None => return Ok(found),
        }
    }
}
