//! The gRPC service of the audit report.

use std::pin::Pin;

use async_trait::async_trait;
use factum::Timestamp;
use futures_util::Stream;
use futures_util::stream::unfold;
use tonic::{Request, Response, Status};

use super::app::{Audit, AuditQuery, AuditRecord, AuditReport};
use crate::access::domain::InvalidScopeId;
use crate::grpc::generated as proto;
use crate::grpc::generated::audit_service_server::AuditService;
use crate::grpc::generated::export_audit_response::Part;
use crate::grpc::{metadata, status};
use crate::specs::domain::SpecId;

/// The gRPC service on the application functions.
pub struct AuditCalls {
    audit: Audit,
}

impl AuditCalls {
    /// Creates the service.
    #[must_use]
    pub fn new(audit: Audit) -> Self {
        Self { audit }
    }
}

#[async_trait]
impl AuditService for AuditCalls {
    type ExportAuditStream =
        Pin<Box<dyn Stream<Item = Result<proto::ExportAuditResponse, Status>> + Send + 'static>>;

    async fn export_audit(
        &self,
        request: Request<proto::ExportAuditRequest>,
    ) -> Result<Response<Self::ExportAuditStream>, Status> {
        let context = metadata::context(&request, None)?;
        let request = request.into_inner();
        let namespace = request.namespace.as_deref().map(str::parse).transpose();
        let namespace = namespace
            .map_err(|error: InvalidScopeId| status::malformed("namespace", error.rule))?;
        let spec = request.spec_id.as_deref().map(str::parse).transpose();
        let spec = spec.map_err(|_| status::malformed("spec_id", "expected a UUID"))?;
        let query = AuditQuery {
            from: request.from.as_ref().map(timestamp),
            to: request.to.as_ref().map(timestamp),
            actor: request.actor,
            namespace,
            spec: spec.map(SpecId),
        };
        let report = self.audit.report(query, &context).await?;
        // The next record is read when the caller is ready to receive it.
        let parts = unfold(Some(report), |report| async move {
            let (part, report) = next_part(report?).await;
            let response = part.map(|part| proto::ExportAuditResponse { part: Some(part) });
            Some((response, report))
        });
        Ok(Response::new(Box::pin(parts)))
    }
}

/// Returns the next part, and the report unless this is the last part.
async fn next_part(mut report: AuditReport) -> (Result<Part, Status>, Option<AuditReport>) {
    match report.next().await {
        Ok(Some(record)) => (Ok(Part::Record(message(record))), Some(report)),
        Ok(None) => {
            let end = proto::AuditEnd {
                count: report.chain().count(),
                last_hash: report.chain().last().to_owned(),
            };
            (Ok(Part::End(end)), None)
        }
        Err(error) => (Err(error.into()), None),
    }
}

fn message(record: AuditRecord) -> proto::AuditRecord {
    let [
        position,
        time,
        actor,
        event_type,
        subject,
        revision,
        reason,
        correlation_id,
        event_id,
        data,
    ] = record.fields;
    proto::AuditRecord {
        position,
        time,
        actor,
        event_type,
        subject,
        revision,
        reason,
        correlation_id,
        event_id,
        data,
        hash: record.hash,
    }
}

fn timestamp(time: &prost_types::Timestamp) -> Timestamp {
    let micros = time.seconds.saturating_mul(1_000_000);
    Timestamp::from_micros(micros.saturating_add(i64::from(time.nanos) / 1_000))
}
