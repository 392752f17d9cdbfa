//! The call of a consumer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use factum::store::RecordedEvent;
use factum_compatible_protocols::kurrentdb::client::Uuid as UuidMessage;
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::read_req::options::uuid_option;
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::read_req::{
    Content as Answer, Options, nack,
};
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::read_resp::{
    Content, ReadEvent, SubscriptionConfirmation, read_event,
};
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::{ReadReq, ReadResp};
use factum_compatible_protocols::kurrentdb::client::streams::read_resp::read_event as stream_event;
use futures_util::stream::{StreamExt as _, iter, unfold};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Status, Streaming};
use uuid::Uuid;

use super::group::{self, PersistentGroup};
use super::settings::ProtocolSettings;
use crate::access::{Permission, Principal};
use crate::groups::consumer::{
    ConsumerMessage, ConsumerRequest, ConsumerRequests, JoinRequest, JoinedConsumer, StopReason,
    Stopped,
};
use crate::groups::failure::{Consequence, EventFailure};
use crate::groups::group_document::VersionedGroup;
use crate::groups::settings::MAX_IN_FLIGHT;
use crate::groups::{Groups, Notice};
use crate::kurrentdb::errors::Refused;
use crate::kurrentdb::event::{UuidNotation, client_id, id, recorded};
use crate::kurrentdb::virtual_stream::ResolvedEvent;
use crate::messages::Messages;
use crate::next_request::next_request;

/// The time without a message after which a consumer would be considered dead. Consumers of this protocol send none.
const SESSION_TIMEOUT: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// The interval at which the progress of the group is looked at. The protocol has no message for it.
const QUIET: Duration = Duration::from_secs(5);

/// The maximum number of deliveries whose answers are awaited. A delivery that has timed out counts, too.
const MAX_UNANSWERED: usize = 10_000;

/// The partition, the fencing token and the position of a delivery.
type DeliveryKey = (u16, u64, u64);

/// The unanswered deliveries of a consumer, by the ids that it answers with.
type Unanswered = Arc<Mutex<HashMap<Uuid, DeliveryKey>>>;

/// Joins the group that the first request names, and returns the messages for the consumer.
pub async fn consume(
    groups: Groups,
    principal: Principal,
    mut requests: Streaming<ReadReq>,
    mut stop: watch::Receiver<bool>,
) -> Result<Messages<ReadResp>, Status> {
    let first = tokio::select! {
        first = requests.message() => first?,
        _ = stop.wait_for(|stop| *stop) => return Err(Status::unavailable("the server is stopping")),
    };
    let Some(Answer::Options(options)) = first.and_then(|first| first.content) else {
        let rule = "missing options; send them in the first message";
        return Err(Status::invalid_argument(rule));
    };
    let group = group::of_read(&options).map_err(|refused| refused.status("Read"))?;
    let permitted = principal
        .require(Permission::Groups, group.name.as_str())
        .and_then(|()| group.scope.require_read(&principal));
    permitted.map_err(|error| Refused::from(error).status("Read"))?;
    let stored = VersionedGroup::read(&**groups.store(), &group.name).await;
    let stored = stored.map_err(|error| group.status(&error))?;
    let settings = ProtocolSettings::stored(&stored.document.settings.protocol);
    let resolve_links = settings.is_some_and(|settings| settings.resolve_links);
    let join = JoinRequest {
        name: principal.user().unwrap_or("anonymous").to_owned(),
        // A slot is free again when its delivery ends, also without an answer.
        credit: u32::MAX,
        max_in_flight: buffer_size(&options)?,
        session_timeout: SESSION_TIMEOUT,
    };
    let joined = groups.join(&group.name, join).await;
    let joined = joined.map_err(|error| group.status(&error))?;
    let unanswered = Unanswered::default();
    let received = receive(requests, joined.requests(), unanswered.clone(), principal);
    tokio::spawn(received);
    let confirmation = SubscriptionConfirmation {
        subscription_id: group.name.as_str().to_owned(),
    };
    let confirmation = ReadResp {
        content: Some(Content::SubscriptionConfirmation(confirmation)),
    };
    let reader = Reader {
        groups,
        group,
        notation: notation(&options),
        resolve_links,
        unanswered,
        joined,
        is_ended: false,
    };
    let events = unfold(reader, |mut reader| async move {
        let next = reader.next().await?;
        Some((next, reader))
    });
    Ok(Box::pin(iter([Ok(confirmation)]).chain(events)))
}

fn buffer_size(options: &Options) -> Result<u32, Status> {
    match u32::try_from(options.buffer_size) {
        Ok(size) if size > 0 => Ok(size.min(MAX_IN_FLIGHT)),
        _ => {
            let size = options.buffer_size;
            let rule = format!("invalid buffer size: {size}; expected at least 1");
            Err(Status::invalid_argument(rule))
        }
    }
}

fn notation(options: &Options) -> UuidNotation {
    let option = options.uuid_option.as_ref();
    match option.and_then(|option| option.content.as_ref()) {
        Some(uuid_option::Content::String(_)) => UuidNotation::Text,
        Some(uuid_option::Content::Structured(_)) | None => UuidNotation::Structured,
    }
}

/// Passes the answers of a consumer on until the call ends.
async fn receive(
    mut requests: Streaming<ReadReq>,
    consumer: ConsumerRequests,
    unanswered: Unanswered,
    principal: Principal,
) {
    loop {
        let content = match next_request(&mut requests, &principal).await {
            Ok(request) => request.content,
            Err((reason, message)) => return consumer.leave(reason, message).await,
        };
        let (ids, action, reason) = match content {
            Some(Answer::Ack(ack)) => (ack.ids, None, String::new()),
            Some(Answer::Nack(nack)) => (nack.ids, Some(nack.action), nack.reason),
            // No more events are wanted, and answers may follow.
            Some(Answer::Stop(_)) => continue,
            Some(Answer::Options(_)) | None => {
                let message = "expected an acknowledgement or a refusal";
                return consumer.leave(StopReason::InvalidRequest, message).await;
            }
        };
        let deliveries = match answered(&ids, &unanswered) {
            Ok(deliveries) => deliveries,
            Err(message) => return consumer.leave(StopReason::InvalidRequest, message).await,
        };
        for delivery in deliveries {
            if !consumer.send(request(delivery, action, &reason)).await {
                return;
            }
        }
        if action == Some(nack::Action::Stop.into()) {
            let message = "the consumer stopped the subscription";
            return consumer.leave(StopReason::ConsumerLeft, message).await;
        }
    }
}

/// Returns the deliveries that a consumer answers. Unknown ids are ignored.
fn answered(ids: &[UuidMessage], unanswered: &Unanswered) -> Result<Vec<DeliveryKey>, String> {
    let mut unanswered = unanswered.lock().unwrap_or_else(PoisonError::into_inner);
    let mut deliveries = Vec::with_capacity(ids.len());
    for message in ids {
        let id = id(Some(message)).map_err(|_| "invalid id; expected a UUID".to_owned())?;
        deliveries.extend(unanswered.remove(&id));
    }
    Ok(deliveries)
}

fn request(
    (partition, fence, position): DeliveryKey,
    action: Option<i32>,
    reason: &str,
) -> ConsumerRequest {
    let consequence = match action.map(nack::Action::try_from) {
        None | Some(Ok(nack::Action::Skip)) => {
            return ConsumerRequest::Settle {
                partition,
                fence,
                positions: vec![position],
            };
        }
        Some(Ok(nack::Action::Park)) => Consequence::DeadLetter,
        Some(_) => Consequence::Retry(None),
    };
    ConsumerRequest::Fail {
        partition,
        fence,
        position,
        failure: EventFailure {
            consequence,
            reason: reason.to_owned(),
        },
    }
}

/// The events for a consumer.
struct Reader {
    groups: Groups,
    group: PersistentGroup,
    notation: UuidNotation,
    resolve_links: bool,
    unanswered: Unanswered,
    joined: JoinedConsumer,
    is_ended: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Result<ReadResp, Status>> {
        while !self.is_ended {
            match self.joined.next(Instant::now() + QUIET).await? {
                ConsumerMessage::Notice(Notice::Delivery {
                    partition,
                    fence,
                    position,
                    attempt,
                    event,
                }) => {
                    let delivery = (partition, fence, position);
                    return Some(self.deliver(delivery, attempt, &event).await);
                }
                ConsumerMessage::Notice(_) | ConsumerMessage::Checkpoint(_) => {}
                ConsumerMessage::Stopped(stopped) => {
                    self.is_ended = true;
                    return self.end(&stopped).map(Err);
                }
            }
        }
        None
    }

    async fn deliver(
        &mut self,
        delivery: DeliveryKey,
        attempt: u32,
        event: &RecordedEvent,
    ) -> Result<ReadResp, Status> {
        let resolved = match &self.group.virtual_stream {
            Some(links) => ResolvedEvent::of_virtual(links, event.clone(), self.resolve_links),
            None => {
                let store = &**self.groups.store();
                let resolved = ResolvedEvent::new(store, event.clone(), self.resolve_links).await;
                resolved.map_err(|error| Refused::from(error).status("Read"))?
            }
        };
        let answered_by = resolved.link.as_ref().or(resolved.event.as_ref());
        if let Some(event) = answered_by {
            let mut unanswered = self
                .unanswered
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            // A consumer that answers none of so many events lets them time out.
            if unanswered.len() >= MAX_UNANSWERED {
                unanswered.clear();
            }
            unanswered.insert(client_id(event), delivery);
        }
        let message = |event: &Option<RecordedEvent>| {
            let event = event.as_ref();
            event.map(|event| persistent_event(recorded(event, self.notation)))
        };
        let read = ReadEvent {
            event: message(&resolved.event),
            link: message(&resolved.link),
            position: Some(read_event::Position::CommitPosition(event.position.get())),
            count: Some(read_event::Count::RetryCount(attempt as i32 - 1)),
        };
        Ok(ReadResp {
            content: Some(Content::Event(read)),
        })
    }

    /// Returns the status of the end; `None` if the consumer asked for it.
    fn end(&self, stopped: &Stopped) -> Option<Status> {
        match stopped.reason {
            StopReason::ConsumerLeft => None,
            StopReason::ServerStopping => Some(Status::unavailable(stopped.message.clone())),
            StopReason::InvalidRequest => Some(Status::invalid_argument(stopped.message.clone())),
            StopReason::AccessRevoked => Some(Status::unauthenticated(stopped.message.clone())),
            _ => Some(self.group.dropped(&stopped.message)),
        }
    }
}

fn persistent_event(event: stream_event::RecordedEvent) -> read_event::RecordedEvent {
    read_event::RecordedEvent {
        id: event.id,
        stream_identifier: event.stream_identifier,
        stream_revision: event.stream_revision,
        prepare_position: event.prepare_position,
        commit_position: event.commit_position,
        metadata: event.metadata,
        custom_metadata: event.custom_metadata,
        data: event.data,
    }
}
