//! The gRPC API, as `proto/spec/v1/spec.proto` says it, with health and reflection.

mod calls;
mod convert;
#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::too_many_lines)]
pub mod generated;
mod metadata;
mod service;
mod status;
mod trace;

use std::time::Duration;

use anyhow::Result;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;

use crate::app::Specs;
use calls::Calls;
use generated::spec_service_server::SpecServiceServer;
use service::Service;

/// The messages and services, as `protoc` would describe them.
pub const DESCRIPTOR: &[u8] = include_bytes!("../proto/spec.v1.bin");

/// What the API needs.
pub struct Grpc {
    /// The specifications.
    pub specs: Specs,
    /// The most bytes of a content: with room for the rest it bounds a message.
    pub max_content: usize,
    /// How long a call may take; streams may go on.
    pub timeout: Duration,
    /// `true` once the service is about to stop: it does not report itself as serving any more.
    pub stopping: watch::Receiver<bool>,
    /// `true` once streams are to end.
    pub stop: watch::Receiver<bool>,
}

/// Serves on `listener` until `stop` says so; calls in flight finish.
///
/// # Errors
/// If the connection fails, or the descriptor is not what it should be.
pub async fn serve(listener: TcpListener, grpc: Grpc) -> Result<()> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<SpecServiceServer<Service>>().await;
    let mut stopping = grpc.stopping;
    let report = tokio::spawn(async move {
        // An error means that the service is gone.
        let _ = stopping.wait_for(|stopping| *stopping).await;
        reporter
            .set_not_serving::<SpecServiceServer<Service>>()
            .await;
        let everything = tonic_health::ServingStatus::NotServing;
        reporter.set_service_status("", everything).await;
    });
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTOR)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let specs = SpecServiceServer::new(Service::new(grpc.specs, grpc.stop.clone()))
        .max_decoding_message_size(grpc.max_content + 64 * 1024);
    let calls = Calls::of(&[
        DESCRIPTOR,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ])?;
    let mut stop = grpc.stop;
    let served = Server::builder()
        .timeout(grpc.timeout)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .layer(calls)
        // What fails on this side is logged where it is turned into a status.
        .layer(
            TraceLayer::new_for_grpc()
                .make_span_with(trace::span)
                .on_response(trace::Outcome)
                .on_eos(trace::Outcome)
                .on_failure(()),
        )
        .layer(CatchPanicLayer::custom(status::panic_message))
        .add_service(specs)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), async move {
            let _ = stop.wait_for(|stop| *stop).await;
        })
        .await;
    report.abort();
    Ok(served?)
}
