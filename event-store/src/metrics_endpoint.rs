//! The HTTP endpoint for operators: metrics and health checks.

use std::convert::Infallible;

use anyhow::Result;
use factum_server::http;
use factum_server::metrics::{Exporter, PROMETHEUS_TEXT};
use factum_server::net::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, body};
use tokio::net::TcpListener;
use tower::service_fn;
use tracing::warn;

use crate::metrics::measure;
use crate::serving::Serving;

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// Serves `/metrics`, `/livez` and `/readyz` on `listener` until [`Serving::stop`] becomes `true`.
///
/// # Errors
/// Never returns an error.
pub async fn serve(listener: TcpListener, exporter: Exporter, serving: Serving) -> Result<()> {
    let stop = serving.stop.clone();
    let incoming = Incoming::new("metrics", listener, serving.limits, stop.clone());
    let service = service_fn(move |request: Request<body::Incoming>| {
        let (exporter, serving) = (exporter.clone(), serving.clone());
        async move { Ok::<_, Infallible>(respond(&request, &exporter, &serving).await) }
    });
    http::serve(incoming, service, |connection| connection, stop).await;
    Ok(())
}

async fn respond<B>(
    request: &Request<B>,
    exporter: &Exporter,
    serving: &Serving,
) -> Response<String> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let text = "use GET or HEAD\n".to_owned();
        let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, PLAIN_TEXT, text);
        let methods = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(ALLOW, methods);
        return refused;
    }
    match request.uri().path() {
        "/metrics" => {
            let is_ready = serving.readiness.check().await.is_ok();
            let head = *serving.stores.for_server().watch().borrow();
            measure(serving.backend, head, is_ready);
            if is_ready && let Err(error) = serving.groups.measure().await {
                warn!(%error, "cannot measure the consumer groups");
            }
            response(StatusCode::OK, PROMETHEUS_TEXT, exporter.render())
        }
        "/livez" => response(StatusCode::OK, PLAIN_TEXT, "alive\n".to_owned()),
        "/readyz" => match serving.readiness.check().await {
            Ok(()) => response(StatusCode::OK, PLAIN_TEXT, "ready\n".to_owned()),
            Err(reason) => {
                let unavailable = StatusCode::SERVICE_UNAVAILABLE;
                response(unavailable, PLAIN_TEXT, format!("not ready: {reason}\n"))
            }
        },
        _ => {
            let text = "not found; `/metrics`, `/livez` and `/readyz` exist\n".to_owned();
            response(StatusCode::NOT_FOUND, PLAIN_TEXT, text)
        }
    }
}

fn response(status: StatusCode, content_type: &'static str, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
