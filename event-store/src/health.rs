//! [`HealthChecks`]: the service `grpc.health.v1.Health`.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use factum_server::call_metrics::service_names;
use futures_util::Stream;
use futures_util::stream::unfold;
use prost::DecodeError;
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::{Request, Response, Status, async_trait};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tracing::warn;

use crate::readiness::ServerReadiness;
use crate::stop::stopped;

/// The name under which the process itself is checked.
const LIVENESS: &str = "liveness";

/// The interval of checks while a client watches.
const INTERVAL: Duration = Duration::from_secs(2);

/// The service of health checks.
///
/// The empty name and the names of all services report whether the store accepts writes and the server does not stop. The name
/// `liveness` reports that the process answers.
#[derive(Clone)]
pub struct HealthChecks {
    readiness: ServerReadiness,
    services: Arc<HashSet<String>>,
    /// Becomes `true` when the server stops. Watches then end.
    stop: watch::Receiver<bool>,
}

impl HealthChecks {
    /// Creates the service for the services that the encoded `FileDescriptorSet`s describe.
    ///
    /// # Errors
    /// Returns an error if a descriptor is not valid.
    pub fn new(
        readiness: ServerReadiness,
        stop: watch::Receiver<bool>,
        descriptors: &[&[u8]],
    ) -> Result<Self, DecodeError> {
        let mut services: HashSet<String> = service_names(descriptors)?.into_iter().collect();
        services.insert(String::new());
        let services = Arc::new(services);
        Ok(Self {
            readiness,
            services,
            stop,
        })
    }

    async fn status(&self, service: &str) -> ServingStatus {
        if service == LIVENESS {
            return ServingStatus::Serving;
        }
        if !self.services.contains(service) {
            return ServingStatus::ServiceUnknown;
        }
        match self.readiness.check().await {
            Ok(()) => ServingStatus::Serving,
            Err(reason) => {
                warn!(reason, "the server is not ready");
                ServingStatus::NotServing
            }
        }
    }
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}

/// A client that watches a service.
struct Watcher {
    health: HealthChecks,
    service: String,
    last: Option<ServingStatus>,
}

impl Watcher {
    /// Waits until the status differs from the last one; returns `None` if the server stops.
    async fn next(&mut self) -> Option<ServingStatus> {
        loop {
            let status = self.health.status(&self.service).await;
            if self.last.replace(status) != Some(status) {
                return Some(status);
            }
            let mut readiness = self.health.readiness.clone();
            tokio::select! {
                () = sleep(INTERVAL) => {}
                () = readiness.stopping_begins(), if status == ServingStatus::Serving => {}
                _ = stopped(&mut self.health.stop) => return None,
            }
        }
    }
}

#[async_trait]
impl Health for HealthChecks {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        match self.status(service).await {
            ServingStatus::ServiceUnknown => {
                let names = "the empty name, `liveness` and the names of services are known";
                Err(Status::not_found(format!(
                    "unknown service {service:?}; {names}"
                )))
            }
            status => Ok(Response::new(response(status))),
        }
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watcher = Watcher {
            health: self.clone(),
            service: request.into_inner().service,
            last: None,
        };
        let statuses = unfold(watcher, |mut watcher| async {
            let status = watcher.next().await?;
            Some((Ok(response(status)), watcher))
        });
        Ok(Response::new(Box::pin(statuses)))
    }
}
