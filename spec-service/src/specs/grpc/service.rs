//! The implementation of the service in the contract.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use factum::Position;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::{Semaphore, watch};
use tonic::{Request, Response, Status};

use super::convert;
use crate::app::{AppError, AsOf, PageQuery};
use crate::grpc::fields::{cursor, limit, page_token};
use crate::grpc::generated as proto;
use crate::grpc::generated::spec_service_server::SpecService;
use crate::grpc::{metadata, status};
use crate::specs::app::{ChangeStream, ListQuery, NewSpec, NewVersion, Specs, WriteResult};
use crate::specs::domain::SpecId;

type CallResult<T> = Result<Response<T>, Status>;

/// The gRPC service on the application functions.
pub struct GrpcService {
    specs: Specs,
    watches: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

impl GrpcService {
    /// Creates the service, with at most `max_watches` streams of changes.
    pub fn new(specs: Specs, max_watches: usize, stop: watch::Receiver<bool>) -> Self {
        let watches = Arc::new(Semaphore::new(max_watches));
        Self {
            specs,
            watches,
            stop,
        }
    }
}

#[async_trait]
impl SpecService for GrpcService {
    async fn create_spec(
        &self,
        request: Request<proto::CreateSpecRequest>,
    ) -> CallResult<proto::CreateSpecResponse> {
        let context = metadata::context(&request, None)?;
        let request = request.into_inner();
        let namespace = Some(request.namespace.as_str()).filter(|text| !text.is_empty());
        let new = NewSpec {
            namespace,
            name: &request.name,
            content: request.content.as_bytes(),
            description: request.description,
            reason: request.reason,
        };
        let written = self.specs.create(new, &context).await?;
        let message = proto::CreateSpecResponse {
            id: written.id.to_string(),
            version: written.latest_version,
            revision: written.revision,
        };
        Ok(write_response(&written, message))
    }

    async fn update_spec(
        &self,
        request: Request<proto::UpdateSpecRequest>,
    ) -> CallResult<proto::UpdateSpecResponse> {
        let context = metadata::context(&request, request.get_ref().expected_revision)?;
        let request = request.into_inner();
        let id = convert::id(&request.id)?;
        let new = NewVersion {
            content: request.content.as_bytes(),
            description: request.description,
            reason: request.reason,
            expected_version: request.expected_version,
        };
        let written = self.specs.update(id, new, &context).await;
        let written = written.map_err(for_spec(id))?;
        let message = proto::UpdateSpecResponse {
            version: written.latest_version,
            revision: written.revision,
        };
        Ok(write_response(&written, message))
    }

    async fn get_spec(
        &self,
        request: Request<proto::GetSpecRequest>,
    ) -> CallResult<proto::GetSpecResponse> {
        let context = metadata::context(&request, None)?;
        let request = request.into_inner();
        let id = convert::id(&request.id)?;
        let as_of = AsOf::parse(Some(&request.at)).map_err(AppError::from)?;
        let view = self
            .specs
            .as_of(as_of)
            .get(id, request.version, &context)
            .await;
        let view = view.map_err(for_spec(id))?;
        Ok(Response::new(convert::spec(view)))
    }

    async fn list_specs(
        &self,
        request: Request<proto::ListSpecsRequest>,
    ) -> CallResult<proto::ListSpecsResponse> {
        let context = metadata::context(&request, None)?;
        let min_position = metadata::min_position(&request)?;
        let request = request.into_inner();
        let query = ListQuery {
            namespace: convert::namespace_filter(&request.namespace)?,
            state: convert::state_filter(request.state)?,
            limit: limit(request.page_size),
            after: cursor(&request.page_token)?,
            min_position,
        };
        let (specs, total, next) = match AsOf::parse(Some(&request.at)).map_err(AppError::from)? {
            AsOf::Now => {
                let page = self.specs.list(query, &context).await?;
                (page.specs, Some(page.total), page.next)
            }
            as_of => {
                let page = self.specs.list_as_of(as_of, query, &context).await?;
                (page.specs, None, page.next)
            }
        };
        Ok(Response::new(proto::ListSpecsResponse {
            specs: specs.into_iter().map(convert::summary).collect(),
            next_page_token: page_token(next),
            total,
        }))
    }

    async fn publish_spec(
        &self,
        request: Request<proto::PublishSpecRequest>,
    ) -> CallResult<proto::PublishSpecResponse> {
        let context = metadata::context(&request, request.get_ref().expected_revision)?;
        let request = request.into_inner();
        let id = convert::id(&request.id)?;
        let written = self
            .specs
            .publish(id, request.version, request.reason, &context);
        let written = written.await;
        let written = written.map_err(for_spec(id))?;
        let message = proto::PublishSpecResponse {
            published_version: written.published_version.unwrap_or_default(),
            revision: written.revision,
        };
        Ok(write_response(&written, message))
    }

    async fn deprecate_spec(
        &self,
        request: Request<proto::DeprecateSpecRequest>,
    ) -> CallResult<proto::DeprecateSpecResponse> {
        let context = metadata::context(&request, request.get_ref().expected_revision)?;
        let request = request.into_inner();
        let id = convert::id(&request.id)?;
        let written = self.specs.deprecate(id, request.reason, &context).await;
        let written = written.map_err(for_spec(id))?;
        let message = proto::DeprecateSpecResponse {
            success: true,
            revision: written.revision,
        };
        Ok(write_response(&written, message))
    }

    async fn delete_spec(
        &self,
        request: Request<proto::DeleteSpecRequest>,
    ) -> CallResult<proto::DeleteSpecResponse> {
        let context = metadata::context(&request, request.get_ref().expected_revision)?;
        let request = request.into_inner();
        let id = convert::id(&request.id)?;
        let written = self.specs.delete(id, request.reason, &context).await;
        let written = written.map_err(for_spec(id))?;
        let message = proto::DeleteSpecResponse {
            success: true,
            revision: written.revision,
        };
        Ok(write_response(&written, message))
    }

    async fn get_spec_history(
        &self,
        request: Request<proto::GetSpecHistoryRequest>,
    ) -> CallResult<proto::GetSpecHistoryResponse> {
        let context = metadata::context(&request, None)?;
        let request = request.into_inner();
        let id = convert::id(&request.id)?;
        let query = PageQuery {
            limit: limit(request.page_size),
            after: cursor(&request.page_token)?,
        };
        let as_of = AsOf::parse(Some(&request.at)).map_err(AppError::from)?;
        let page = self.specs.as_of(as_of).history(id, query, &context).await;
        let page = page.map_err(for_spec(id))?;
        Ok(Response::new(proto::GetSpecHistoryResponse {
            events: page.items.iter().map(convert::event).collect(),
            next_page_token: page_token(page.next),
        }))
    }

    type WatchSpecsStream =
        Pin<Box<dyn Stream<Item = Result<proto::SpecChange, Status>> + Send + 'static>>;

    async fn watch_specs(
        &self,
        request: Request<proto::WatchSpecsRequest>,
    ) -> CallResult<Self::WatchSpecsStream> {
        let permit = self.watches.clone().try_acquire_owned();
        let permit = permit.map_err(|_| status::too_many_streams())?;
        let context = metadata::context(&request, None)?;
        let from = Position::new(request.into_inner().from_position);
        let state = Some((self.specs.watch(from, &context), self.stop.clone(), permit));
        // The next change is read only when the caller is ready to receive it.
        let changes = unfold(state, |state| async {
            let (mut changes, mut stop, permit) = state?;
            match next_change(&mut changes, &mut stop).await {
                Ok(change) => Some((Ok(change), Some((changes, stop, permit)))),
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }
}

async fn next_change(
    changes: &mut ChangeStream,
    stop: &mut watch::Receiver<bool>,
) -> Result<proto::SpecChange, Status> {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => Err(status::stopping()),
        change = changes.next() => change.map(|change| convert::change(&change)).map_err(Status::from),
    }
}

/// Returns the conversion of errors of calls on one specification.
fn for_spec(id: SpecId) -> impl FnOnce(AppError) -> Status {
    status::for_resource("spec.v1.Spec", id)
}

/// Creates the response to a write, with the position of the write in its metadata.
fn write_response<T>(written: &WriteResult, message: T) -> Response<T> {
    metadata::at_position(written.position, message)
}
