//! The end of calls when the server stops.

use tokio::sync::watch;
use tonic::Status;

/// Waits until the server stops, and returns the status of calls without end.
pub async fn stopped(stop: &mut watch::Receiver<bool>) -> Status {
    // An error means that the sender was dropped.
    let _ = stop.wait_for(|stop| *stop).await;
    Status::unavailable("the server is stopping; connect again and resume after the last position")
}
