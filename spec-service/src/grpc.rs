//! The gRPC API of the contract in `proto/spec/v1`, with health and reflection services.

mod codec;
pub(crate) mod fields;
#[rustfmt::skip]
#[allow(missing_docs, clippy::all, clippy::too_many_lines)]
pub mod generated;
pub(crate) mod metadata;
pub(crate) mod status;

use std::time::Duration;

use anyhow::Result;
use factum_server::call_metrics::CallMetricsLayer;
use factum_server::net::{ConnectionLimits, Incoming, KEEP_ALIVE, MAX_STREAMS, TrackRequestsLayer};
use factum_server::trace;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;

use crate::audit::Audit;
use crate::audit::grpc::AuditCalls;
use crate::bulk::{Bulk, BulkGrpc, MAX_BULK_BYTES};
use crate::search::{Search, SearchGrpc};
use crate::specs::app::Specs;
use crate::specs::grpc::GrpcService;
use crate::transfer::{ImportExport, MAX_IMPORT_BYTES, TransferGrpc};
use crate::webhooks::app::Webhooks;
use crate::webhooks::grpc::WebhookCalls;
use generated::audit_service_server::AuditServiceServer;
use generated::bulk_service_server::BulkServiceServer;
use generated::search_service_server::SearchServiceServer;
use generated::spec_service_server::SpecServiceServer;
use generated::transfer_service_server::TransferServiceServer;
use generated::webhook_service_server::WebhookServiceServer;

/// The encoded `FileDescriptorSet` of the messages and services.
pub const DESCRIPTOR: &[u8] = include_bytes!("../proto/spec.v1.bin");

/// The state and settings of the gRPC API.
pub struct Grpc {
    /// The specifications.
    pub specs: Specs,
    /// The audit report.
    pub audit: Audit,
    /// The webhooks.
    pub webhooks: Webhooks,
    /// The search index.
    pub search: Search,
    /// The changes of many specifications.
    pub bulk: Bulk,
    /// Import and export.
    pub transfer: ImportExport,
    /// The maximum size of a content in bytes. A message can be 64 KiB larger.
    pub max_content: usize,
    /// The timeout of a call. Streams have no timeout.
    pub timeout: Duration,
    /// The limits of connections.
    pub limits: ConnectionLimits,
    /// The maximum number of streams of changes. Further ones are rejected.
    pub max_watches: usize,
    /// Becomes `true` when shutdown begins. Health checks then report that the service is not serving.
    pub stopping: watch::Receiver<bool>,
    /// Becomes `true` when the server must stop. Streams then end.
    pub stop: watch::Receiver<bool>,
}

/// Serves on `listener` until [`Grpc::stop`] becomes `true`, and waits for calls in flight.
///
/// # Errors
/// Returns an error if the server fails, or if a descriptor is not valid.
pub async fn serve(listener: TcpListener, grpc: Grpc) -> Result<()> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_serving::<SpecServiceServer<GrpcService>>()
        .await;
    reporter
        .set_serving::<WebhookServiceServer<WebhookCalls>>()
        .await;
    reporter
        .set_serving::<AuditServiceServer<AuditCalls>>()
        .await;
    let mut stopping = grpc.stopping;
    let report = tokio::spawn(async move {
        // An error means that the sender was dropped.
        let _ = stopping.wait_for(|stopping| *stopping).await;
        reporter
            .set_not_serving::<SpecServiceServer<GrpcService>>()
            .await;
        reporter
            .set_not_serving::<WebhookServiceServer<WebhookCalls>>()
            .await;
        reporter
            .set_not_serving::<AuditServiceServer<AuditCalls>>()
            .await;
        let everything = tonic_health::ServingStatus::NotServing;
        reporter.set_service_status("", everything).await;
    });
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let specs = SpecServiceServer::new(GrpcService::new(
        grpc.specs,
        grpc.max_watches,
        grpc.stop.clone(),
    ))
    .max_decoding_message_size(grpc.max_content + 64 * 1024);
    let audit = AuditServiceServer::new(AuditCalls::new(grpc.audit));
    let webhooks = WebhookServiceServer::new(WebhookCalls::new(grpc.webhooks));
    let bulk = BulkServiceServer::new(BulkGrpc(grpc.bulk));
    let bulk = bulk.max_decoding_message_size(MAX_BULK_BYTES + (1 << 20));
    let transfer = TransferServiceServer::new(TransferGrpc(grpc.transfer));
    let transfer = transfer.max_decoding_message_size(MAX_IMPORT_BYTES);
    let call_metrics = CallMetricsLayer::new(&[
        DESCRIPTOR,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ])?;
    let mut stop = grpc.stop;
    let incoming = Incoming::new("grpc", listener, grpc.limits, stop.clone());
    let served = Server::builder()
        .timeout(grpc.timeout)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .max_concurrent_streams(MAX_STREAMS)
        .layer(TrackRequestsLayer)
        .layer(call_metrics)
        // Failures are logged where they are converted to a status.
        .layer(
            TraceLayer::new_for_grpc()
                .make_span_with(trace::span)
                .on_response(trace::RecordCode)
                .on_eos(trace::RecordCode)
                .on_failure(()),
        )
        .layer(MapRequestLayer::new(trace::continue_trace))
        .layer(CatchPanicLayer::custom(status::panic_response))
        .add_service(specs)
        .add_service(webhooks)
        .add_service(audit)
        .add_service(SearchServiceServer::new(SearchGrpc(grpc.search)))
        .add_service(bulk)
        .add_service(transfer)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .serve_with_incoming_shutdown(incoming.into_stream(), async move {
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await;
    report.abort();
    Ok(served?)
}
