//! [`next_request()`]: waits for the next request of a consumer.

use tonic::Streaming;

use crate::access::Principal;
use crate::groups::consumer::StopReason;

/// Returns the next request of a consumer, or the reason why it leaves its group.
///
/// A consumer leaves if its call ends or its access is revoked.
pub async fn next_request<T>(
    requests: &mut Streaming<T>,
    principal: &Principal,
) -> Result<T, (StopReason, String)> {
    let message = tokio::select! {
        message = requests.message() => message,
        revoked = principal.revoked() => {
            return Err((StopReason::AccessRevoked, revoked.to_string()));
        }
    };
    match message {
        Ok(Some(request)) => Ok(request),
        Ok(None) => {
            let message = "the consumer ended its requests".to_owned();
            Err((StopReason::ConsumerLeft, message))
        }
        Err(status) => {
            let message = format!("the connection failed: {}", status.message());
            Err((StopReason::ConsumerLeft, message))
        }
    }
}
