//! The gRPC service of the search.

use async_trait::async_trait;
use factum::Timestamp;
use tonic::{Request, Response, Status};

use super::app::{Search, SearchHit, SearchQuery};
use super::filters::{FilterValue, Filters};
use super::highlight::Highlight;
use crate::app::AppError;
use crate::grpc::generated as proto;
use crate::grpc::generated::search_service_server::SearchService;
use crate::grpc::{fields, metadata, status};
use crate::specs::grpc::convert;

/// The gRPC service on the application functions.
pub struct SearchGrpc(pub Search);

#[async_trait]
impl SearchService for SearchGrpc {
    async fn search_specs(
        &self,
        request: Request<proto::SearchSpecsRequest>,
    ) -> Result<Response<proto::SearchSpecsResponse>, Status> {
        let context = metadata::context(&request, None)?;
        let min_position = metadata::min_position(&request)?;
        let request = request.into_inner();
        let query = SearchQuery {
            text: request.query.parse().map_err(AppError::from)?,
            limit: fields::limit(request.page_size),
            after: fields::cursor(&request.page_token)?,
            filters: filters(request)?,
            min_position,
        };
        let page = self.0.page(query, &context).await?;
        Ok(Response::new(proto::SearchSpecsResponse {
            hits: page.hits.into_iter().map(hit).collect(),
            next_page_token: fields::page_token(page.next),
            total: page.total,
            total_is_exact: page.total_is_exact,
        }))
    }
}

fn filters(request: proto::SearchSpecsRequest) -> Result<Filters, Status> {
    let values = [
        (
            FilterValue::Namespace as fn(String) -> FilterValue,
            request.namespace,
        ),
        (FilterValue::Type, request.r#type),
        (FilterValue::Label, request.label),
        (FilterValue::Owner, request.owner),
        (FilterValue::Actor, request.actor),
    ];
    let values = values.into_iter().filter(|(_, value)| !value.is_empty());
    Ok(Filters {
        state: convert::state_filter(request.state)?,
        values: values.map(|(filter, value)| filter(value)).collect(),
        changed_since: request.changed_since.map(time).transpose()?,
    })
}

fn time(time: prost_types::Timestamp) -> Result<Timestamp, Status> {
    let micros = time.seconds.checked_mul(1_000_000);
    let micros = micros.and_then(|micros| micros.checked_add(i64::from(time.nanos) / 1_000));
    let invalid = || status::malformed("changed_since", "expected a time");
    micros.map(Timestamp::from_micros).ok_or_else(invalid)
}

fn hit(hit: SearchHit) -> proto::SearchHit {
    let entry = hit.entry;
    let highlights = [
        ("name", hit.name),
        ("description", hit.description),
        ("content", hit.content),
    ];
    let highlights = highlights.into_iter();
    proto::SearchHit {
        id: entry.id.to_string(),
        namespace: entry.namespace.to_string(),
        name: entry.name.as_str().to_owned(),
        description: entry.description.unwrap_or_default(),
        latest_version: entry.latest_version,
        published_version: entry.published_version.unwrap_or_default(),
        state: convert::state(entry.state),
        created_at: fields::timestamp(entry.created_at),
        updated_at: fields::timestamp(entry.updated_at),
        updated_by: entry.updated_by,
        highlights: highlights
            .filter_map(|(field, found)| Some(highlight(field, found?)))
            .collect(),
    }
}

fn highlight(field: &str, found: Highlight) -> proto::SearchHighlight {
    let parts = found.parts.into_iter();
    let parts = parts.map(|part| proto::SearchHighlightPart {
        text: part.text,
        r#match: part.is_match,
    });
    proto::SearchHighlight {
        field: field.to_owned(),
        line: found.line,
        parts: parts.collect(),
    }
}
