//! The implementation of [`DocumentStore`].

use async_trait::async_trait;
use factum_core::document::{
    Document, DocumentChanges, DocumentError, DocumentStore, Revision, Scan,
};
use factum_core::error::StoreError;
use factum_core::field::check_text;
use factum_core::projection_scope::check_outside_projection;
use factum_store_protocol::refusal::{RequestKind, document_error, store_error};
use factum_store_protocol::{document as messages, v1};

use crate::open::GrpcStore;

#[async_trait]
impl DocumentStore for GrpcStore {
    async fn change_documents(&self, changes: DocumentChanges) -> Result<Revision, DocumentError> {
        check_outside_projection()?;
        changes.check()?;
        let changes = messages::changes_message(&changes);
        let request = v1::ChangeDocumentsRequest { changes };
        let answer = self.state.clone().change_documents(request).await;
        let answer = answer.map_err(document_error)?;
        Ok(Revision::new(answer.into_inner().revision))
    }

    async fn find_documents(&self, keys: &[String]) -> Result<Vec<Document>, StoreError> {
        for key in keys {
            check_text("document key", key, factum_core::document::MAX_KEY)?;
        }
        let failed = |status| store_error(status, RequestKind::Read);
        let keys = keys.to_vec();
        let request = v1::FindDocumentsRequest { keys };
        let parts = self.state.clone().find_documents(request).await;
        let mut parts = parts.map_err(failed)?.into_inner();
        let mut documents = Vec::new();
        while let Some(part) = parts.message().await.map_err(failed)? {
            documents.extend(part.documents.into_iter().map(messages::from_message));
        }
        Ok(documents)
    }

    async fn scan_documents(&self, scan: Scan) -> Result<Vec<Document>, StoreError> {
        scan.check()?;
        let failed = |status| store_error(status, RequestKind::Read);
        let request = v1::ScanDocumentsRequest {
            prefix: scan.prefix,
            after: scan.after,
            limit: scan.limit as u32,
        };
        let parts = self.state.clone().scan_documents(request).await;
        let mut parts = parts.map_err(failed)?.into_inner();
        let mut documents = Vec::new();
        while let Some(part) = parts.message().await.map_err(failed)? {
            documents.extend(part.documents.into_iter().map(messages::from_message));
        }
        Ok(documents)
    }
}
