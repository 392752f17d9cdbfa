//! The gRPC service of bulk changes.

use async_trait::async_trait;
use tonic::{Request, Response, Status};

use super::app::{Bulk, BulkRequest, ItemResult, NewAction, NewChange};
use crate::grpc::generated as proto;
use crate::grpc::generated::bulk_service_server::BulkService;
use crate::grpc::{metadata, status};
use crate::specs::grpc::convert;

/// The gRPC service on the application functions.
pub struct BulkGrpc(pub Bulk);

#[async_trait]
impl BulkService for BulkGrpc {
    async fn change_specs(
        &self,
        request: Request<proto::ChangeSpecsRequest>,
    ) -> Result<Response<proto::ChangeSpecsResponse>, Status> {
        let context = metadata::context(&request, None)?;
        let request = request.into_inner();
        let changes = request.changes.into_iter().enumerate();
        let bulk = BulkRequest {
            changes: changes.map(new_change).collect::<Result<_, _>>()?,
            dry_run: request.dry_run,
            reason: request.reason,
        };
        let report = self.0.change(bulk, &context).await?;
        let message = proto::ChangeSpecsResponse {
            applied: report.position.is_some(),
            results: report.items.into_iter().map(result).collect(),
        };
        Ok(match report.position {
            Some(position) => metadata::at_position(position, message),
            None => Response::new(message),
        })
    }
}

fn new_change((index, change): (usize, proto::BulkChange)) -> Result<NewChange, Status> {
    use proto::bulk_change::Action;
    let field = || format!("changes[{index}]");
    let id =
        |id: &str| convert::id(id).map_err(|_| status::malformed(&field(), "id: expected a UUID"));
    let action = change
        .action
        .ok_or_else(|| status::malformed(&field(), "missing action"))?;
    let action = match action {
        Action::Create(create) => NewAction::Create {
            namespace: Some(create.namespace).filter(|text| !text.is_empty()),
            name: create.name,
            content: create.content.into_bytes(),
            description: create.description,
        },
        Action::Update(update) => NewAction::Update {
            id: id(&update.id)?,
            content: update.content.into_bytes(),
            description: update.description,
        },
        Action::Publish(publish) => NewAction::Publish {
            id: id(&publish.id)?,
            version: publish.version,
        },
        Action::Deprecate(deprecate) => NewAction::Deprecate {
            id: id(&deprecate.id)?,
            reason: deprecate.reason,
        },
        Action::Delete(delete) => NewAction::Delete {
            id: id(&delete.id)?,
        },
    };
    Ok(NewChange {
        action,
        expected_revision: change.expected_revision,
    })
}

fn result(item: ItemResult) -> proto::BulkResult {
    use proto::bulk_result::Result;
    let result = match item {
        Ok(changed) => Result::Changed(proto::BulkChanged {
            id: changed.id.to_string(),
            revision: changed.revision,
            latest_version: changed.latest_version,
        }),
        Err(error) => Result::Refused(proto::BulkRefused {
            code: error.code().to_uppercase(),
            message: error.to_string(),
        }),
    };
    proto::BulkResult {
        result: Some(result),
    }
}
