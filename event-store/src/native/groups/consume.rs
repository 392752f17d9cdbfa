//! The call of a consumer.

use std::time::Duration;

use factum_store_protocol::refusal::store_status;
use factum_store_protocol::v1::consume_request::{
    Ack, Action, Message as RequestMessage, Nack, Start,
};
use factum_store_protocol::v1::consume_response::{
    Assigned, Delivery, Message, NotSettled, Revoked, Settled,
};
use factum_store_protocol::{event, v1};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use super::messages;
use super::status::group_status;
use crate::access::{Permission, Principal};
use crate::groups::consumer::{
    ConsumerMessage, ConsumerRequest, ConsumerRequests, EventNotice, JoinRequest, StopReason,
};
use crate::groups::error::GroupError;
use crate::groups::failure::{Consequence, EventFailure};
use crate::groups::group_document::{GroupName, VersionedGroup};
use crate::groups::settings::MAX_PAUSE;
use crate::groups::{Groups, Notice};
use crate::next_request::next_request;

/// The limits and the default of the session timeout.
const SESSION_TIMEOUTS: (Duration, Duration, Duration) = (
    Duration::from_secs(1),
    Duration::from_secs(60),
    Duration::from_secs(15),
);
/// The limits of the heartbeat; the longest one is the default.
const HEARTBEATS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The time in which a consumer must send its first request.
const START_TIME: Duration = Duration::from_secs(10);
/// The maximum size of the name of a consumer, in bytes.
const MAX_CONSUMER_NAME: usize = 200;
/// The maximum size of the reason of a failure, in bytes.
const MAX_REASON: usize = 2_000;
/// The maximum number of positions in one answer.
const MAX_POSITIONS: usize = 1_000;
/// The maximum credit of a consumer.
const MAX_CREDIT: u32 = 1_000_000;

/// Joins the group that the first request names, and returns the messages for the consumer.
pub async fn consume(
    groups: &Groups,
    principal: Principal,
    mut requests: Streaming<v1::ConsumeRequest>,
    mut stop: watch::Receiver<bool>,
) -> Result<impl Stream<Item = Result<v1::ConsumeResponse, Status>> + Send + use<>, Status> {
    let first = tokio::select! {
        first = tokio::time::timeout(START_TIME, requests.message()) => first,
        _ = stop.wait_for(|stop| *stop) => return Err(group_status(&GroupError::Stopping)),
    };
    let first = first.map_err(|_| {
        Status::deadline_exceeded("the consumer sent no `start`; send it as the first request")
    })??;
    let Some(RequestMessage::Start(start)) = first.and_then(|request| request.message) else {
        let error = GroupError::invalid("start", "it must be the first request");
        return Err(group_status(&error));
    };
    let (name, join, heartbeat) = join_request(start).map_err(|error| group_status(&error))?;
    let group = VersionedGroup::read(&**groups.store(), &name).await;
    let group = group.map_err(|error| group_status(&error))?;
    let permitted = principal
        .require(Permission::Groups, name.as_str())
        .and_then(|()| group.document.settings.scope.require_read(&principal));
    permitted.map_err(|error| store_status(&error))?;
    let consumer = groups.join(&name, join).await;
    let consumer = consumer.map_err(|error| group_status(&error))?;
    tokio::spawn(receive(requests, consumer.requests(), principal));
    // The first message confirms that the consumer has joined.
    let joined = ConsumerMessage::Checkpoint(consumer.progress());
    Ok(unfold(
        (Some(joined), consumer),
        move |(joined, mut consumer)| async move {
            let message = match joined {
                Some(joined) => joined,
                None => consumer.next(Instant::now() + heartbeat).await?,
            };
            Some((Ok(response(message)), (None, consumer)))
        },
    ))
}

fn join_request(start: Start) -> Result<(GroupName, JoinRequest, Duration), GroupError> {
    let name = GroupName::new("start.group", start.group)?;
    if start.consumer.len() > MAX_CONSUMER_NAME || start.consumer.contains(char::is_control) {
        let rule = format!("expected at most {MAX_CONSUMER_NAME} bytes without control characters");
        return Err(GroupError::invalid("start.consumer", rule));
    }
    let (shortest, longest, default) = SESSION_TIMEOUTS;
    let timeout = start.session_timeout;
    let session_timeout = between("start.session_timeout", timeout, shortest, longest, default)?;
    let (shortest, longest) = HEARTBEATS;
    let heartbeat = between(
        "start.heartbeat",
        start.heartbeat,
        shortest,
        longest,
        longest,
    )?;
    let request = JoinRequest {
        name: start.consumer,
        credit: start.credit.min(MAX_CREDIT),
        max_in_flight: u32::MAX,
        session_timeout,
    };
    Ok((name, request, heartbeat))
}

fn between(
    field: &str,
    message: Option<prost_types::Duration>,
    shortest: Duration,
    longest: Duration,
    default: Duration,
) -> Result<Duration, GroupError> {
    let duration = message.map(|message| messages::duration(field, message));
    let duration = duration.transpose()?.unwrap_or(default);
    match (shortest..=longest).contains(&duration) {
        true => Ok(duration),
        false => {
            let rule = format!("expected {shortest:?} to {longest:?}, got {duration:?}");
            Err(GroupError::invalid(field, rule))
        }
    }
}

/// Passes the requests of a consumer on until the call ends.
async fn receive(
    mut requests: Streaming<v1::ConsumeRequest>,
    consumer: ConsumerRequests,
    principal: Principal,
) {
    loop {
        let message = match next_request(&mut requests, &principal).await {
            Ok(request) => request.message,
            Err((reason, message)) => return consumer.leave(reason, message).await,
        };
        match consumer_request(message) {
            Ok(request) => {
                if !consumer.send(request).await {
                    return;
                }
            }
            Err(error) => {
                let message = error.to_string();
                return consumer.leave(StopReason::InvalidRequest, message).await;
            }
        }
    }
}

fn consumer_request(message: Option<RequestMessage>) -> Result<ConsumerRequest, GroupError> {
    match message {
        Some(RequestMessage::Start(_)) => Err(GroupError::invalid("start", "it was sent already")),
        Some(RequestMessage::Credit(credit)) if credit.events == 0 => {
            Err(GroupError::invalid("credit.events", "expected at least 1"))
        }
        Some(RequestMessage::Credit(credit)) => {
            Ok(ConsumerRequest::Credit(credit.events.min(MAX_CREDIT)))
        }
        Some(RequestMessage::Ack(ack)) => acknowledged(ack),
        Some(RequestMessage::Nack(nack)) => rejected(nack),
        Some(RequestMessage::Heartbeat(_)) => Ok(ConsumerRequest::Heartbeat),
        None => Err(GroupError::invalid("message", "it is required")),
    }
}

fn acknowledged(ack: Ack) -> Result<ConsumerRequest, GroupError> {
    let count = ack.positions.len();
    if !(1..=MAX_POSITIONS).contains(&count) {
        let rule = format!("expected 1 to {MAX_POSITIONS} positions, got {count}");
        return Err(GroupError::invalid("ack.positions", rule));
    }
    Ok(ConsumerRequest::Settle {
        partition: partition("ack.partition", ack.partition)?,
        fence: ack.fence,
        positions: ack.positions,
    })
}

fn rejected(nack: Nack) -> Result<ConsumerRequest, GroupError> {
    let partition = partition("nack.partition", nack.partition)?;
    let Nack {
        fence,
        position,
        mut reason,
        ..
    } = nack;
    reason.truncate(reason.floor_char_boundary(MAX_REASON));
    let action = Action::try_from(nack.action);
    let action = action.map_err(|_| {
        GroupError::invalid("nack.action", format!("unknown value {}", nack.action))
    })?;
    let pause = nack
        .retry_after
        .map(|pause| messages::duration("nack.retry_after", pause));
    let pause = pause.transpose()?;
    if pause.is_some_and(|pause| pause > MAX_PAUSE) {
        return Err(GroupError::invalid(
            "nack.retry_after",
            "expected at most 24 h",
        ));
    }
    let consequence = match action {
        Action::Skip => {
            return Ok(ConsumerRequest::Settle {
                partition,
                fence,
                positions: vec![position],
            });
        }
        Action::Stop => {
            return Ok(ConsumerRequest::Stop {
                partition,
                fence,
                position,
                reason,
            });
        }
        Action::Unspecified | Action::Retry => {
            Consequence::Retry(pause.map(|pause| pause.as_millis() as u64))
        }
        Action::DeadLetter => Consequence::DeadLetter,
    };
    Ok(ConsumerRequest::Fail {
        partition,
        fence,
        position,
        failure: EventFailure {
            consequence,
            reason,
        },
    })
}

fn partition(field: &str, partition: u32) -> Result<u16, GroupError> {
    u16::try_from(partition).map_err(|_| GroupError::invalid(field, "there is no such partition"))
}

fn response(message: ConsumerMessage) -> v1::ConsumeResponse {
    let message = match message {
        ConsumerMessage::Notice(notice) => notice_message(notice),
        ConsumerMessage::Checkpoint(progress) => {
            Message::Checkpoint(messages::checkpoint(progress))
        }
        ConsumerMessage::Stopped(stopped) => Message::Stopped(messages::stopped(stopped)),
    };
    v1::ConsumeResponse {
        message: Some(message),
    }
}

fn notice_message(notice: EventNotice) -> Message {
    match notice {
        Notice::Assigned {
            partition,
            fence,
            position,
        } => Message::Assigned(Assigned {
            partition: partition.into(),
            fence,
            position,
        }),
        Notice::Revoked {
            partition,
            fence,
            reason,
        } => Message::Revoked(Revoked {
            partition: partition.into(),
            fence,
            reason: reason.to_owned(),
        }),
        Notice::Delivery {
            partition,
            fence,
            attempt,
            event,
            ..
        } => Message::Delivery(Delivery {
            partition: partition.into(),
            fence,
            event: Some(event::to_message(&event)),
            attempt,
        }),
        Notice::Settled {
            partition,
            fence,
            positions,
        } => Message::Settled(Settled {
            partition: partition.into(),
            fence,
            positions,
        }),
        Notice::NotSettled {
            partition,
            fence,
            positions,
            reason,
        } => Message::NotSettled(NotSettled {
            partition: partition.into(),
            fence,
            positions,
            reason: reason.to_owned(),
        }),
    }
}
