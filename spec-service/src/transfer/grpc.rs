//! The gRPC service of import and export.

use std::pin::Pin;

use async_trait::async_trait;
use factum::Position;
use futures_util::stream::{self, Stream, StreamExt as _, unfold};
use tonic::{Request, Response, Status};

use super::app::{ApplyDocument, ApplyRequest, ApplyResult, ExportedVersion, ImportExport};
use super::archive::ArchiveFormat;
use super::change_log::ChangeLog;
use super::line::line;
use super::plan::StepKind;
use crate::app::AppError;
use crate::grpc::generated as proto;
use crate::grpc::generated::transfer_service_server::TransferService;
use crate::grpc::{metadata, status};
use crate::specs::grpc::convert;

/// The size of a part of an archive, in bytes.
const PART: usize = 64 * 1024;

/// The gRPC service on the application functions.
pub struct TransferGrpc(pub ImportExport);

type Parts = Pin<Box<dyn Stream<Item = Result<proto::ExportSpecsResponse, Status>> + Send>>;

#[async_trait]
impl TransferService for TransferGrpc {
    async fn apply_specs(
        &self,
        request: Request<proto::ApplySpecsRequest>,
    ) -> Result<Response<proto::ApplySpecsResponse>, Status> {
        let context = metadata::context(&request, None)?;
        let request = request.into_inner();
        let documents = request.documents.into_iter().map(|document| ApplyDocument {
            name: document.name,
            content: document.content.into_bytes(),
            description: document.description,
        });
        let apply = ApplyRequest {
            namespace: Some(request.namespace),
            documents: documents.collect(),
            plan: Some(request.plan).filter(|plan| !plan.is_empty()),
            dry_run: request.dry_run,
            reason: request.reason,
        };
        Ok(applied(&self.0.apply(apply, &context).await?))
    }

    async fn import_specs(
        &self,
        request: Request<proto::ImportSpecsRequest>,
    ) -> Result<Response<proto::ApplySpecsResponse>, Status> {
        let context = metadata::context(&request, None)?;
        let request = request.into_inner();
        let Some(format) = format(request.format)? else {
            return Err(status::malformed("format", "expected TAR or ZIP"));
        };
        let apply = ApplyRequest {
            namespace: Some(request.namespace),
            documents: Vec::new(),
            plan: Some(request.plan).filter(|plan| !plan.is_empty()),
            dry_run: request.dry_run,
            reason: request.reason,
        };
        let imported = self
            .0
            .import(format, &request.archive, apply, &context)
            .await?;
        Ok(applied(&imported))
    }

    type ExportSpecsStream = Parts;

    async fn export_specs(
        &self,
        request: Request<proto::ExportSpecsRequest>,
    ) -> Result<Response<Parts>, Status> {
        let context = metadata::context(&request, None)?;
        let request = request.into_inner();
        let Some(format) = format(request.format)? else {
            let after = Position::new(request.after_position);
            return Ok(Response::new(lines(self.0.changes(after, &context).await?)));
        };
        let version = match request.published {
            true => ExportedVersion::Published,
            false => ExportedVersion::Latest,
        };
        let state = convert::state_filter(request.state)?;
        let archive = self
            .0
            .export(
                format,
                version,
                Some(request.namespace.as_str()),
                state,
                &context,
            )
            .await?;
        let parts: Vec<_> = archive
            .chunks(PART)
            .map(|part| Ok(message(part.to_vec())))
            .collect();
        Ok(Response::new(stream::iter(parts).boxed()))
    }
}

/// Converts a format. `None` means lines of JSON.
fn format(number: i32) -> Result<Option<ArchiveFormat>, Status> {
    match proto::ArchiveFormat::try_from(number) {
        Ok(proto::ArchiveFormat::Tar) => Ok(Some(ArchiveFormat::Tar)),
        Ok(proto::ArchiveFormat::Zip) => Ok(Some(ArchiveFormat::Zip)),
        Ok(proto::ArchiveFormat::Ndjson) => Ok(None),
        _ => Err(status::malformed("format", "expected TAR, ZIP or NDJSON")),
    }
}

fn lines(changes: ChangeLog) -> Parts {
    let pages = unfold(Some(changes), |changes| async {
        let mut changes = changes?;
        let page = match changes.next_page().await {
            Ok(page) => page?,
            Err(error) => return Some((Err(error.into()), None)),
        };
        let lines: Result<String, AppError> = page.iter().map(line).collect();
        let part = lines.map(|lines| message(lines.into_bytes()));
        Some((part.map_err(Status::from), Some(changes)))
    });
    pages.boxed()
}

fn message(data: Vec<u8>) -> proto::ExportSpecsResponse {
    proto::ExportSpecsResponse { data }
}

fn applied(applied: &ApplyResult) -> Response<proto::ApplySpecsResponse> {
    let steps = applied.plan.steps.iter().map(|step| {
        let action = match step.kind {
            StepKind::Create => proto::ApplyAction::Create,
            StepKind::Update => proto::ApplyAction::Update,
            StepKind::Unchanged => proto::ApplyAction::Unchanged,
        };
        let (id, revision) = match step.existing {
            Some((id, revision)) => (id.to_string(), revision),
            None => (String::new(), 0),
        };
        proto::ApplyStep {
            name: step.wanted.name.to_string(),
            action: action.into(),
            id,
            revision,
        }
    });
    let message = proto::ApplySpecsResponse {
        applied: applied.position.is_some(),
        plan: applied.plan.token(),
        steps: steps.collect(),
    };
    match applied.position {
        Some(position) => metadata::at_position(position, message),
        None => Response::new(message),
    }
}
