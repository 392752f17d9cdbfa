//! Catch-up subscriptions: stored events, then new ones, without end.

mod log;
mod outbox;
mod stream;

use std::sync::Arc;

use factum::store::Store;
use factum::store::new_event_id;
use factum_compatible_protocols::kurrentdb::client::streams::ReadResp;
use factum_compatible_protocols::kurrentdb::client::streams::read_resp::{
    Content, SubscriptionConfirmation,
};
use futures_util::stream::{StreamExt as _, iter};
use tokio::sync::watch;

use super::errors::Refused;
use super::request::{ReadOptions, Source};
use crate::messages::Messages;

/// Subscribes to a stream, a virtual stream, or the log of all streams.
///
/// # Errors
/// Returns [`Refused`] if the stream has a tombstone, or the store fails.
pub async fn subscribe(
    store: Arc<dyn Store>,
    request: ReadOptions,
    stop: watch::Receiver<bool>,
) -> Result<Messages<ReadResp>, Refused> {
    let subscription_id = new_event_id().to_string();
    let confirmation = SubscriptionConfirmation { subscription_id };
    let content = Some(Content::Confirmation(confirmation));
    let confirmation = ReadResp { content };
    let messages: Messages<ReadResp> = match &request.source {
        Source::Stream(stream) => {
            let stream = stream.clone();
            Box::pin(stream::subscribe(store, stream, &request, stop).await?)
        }
        Source::Virtual(_) | Source::All(_) => {
            Box::pin(log::subscribe(store, request, stop).await?)
        }
    };
    Ok(Box::pin(iter([Ok(confirmation)]).chain(messages)))
}
