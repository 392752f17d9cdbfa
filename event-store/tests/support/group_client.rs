//! Clients of consumer groups: one that a test controls message by message, and one that works and keeps a record.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use factum_store_protocol::v1;
use factum_store_protocol::v1::consume_request::Message as Request;
use factum_store_protocol::v1::consume_request::{Ack, Action, Credit, Heartbeat, Nack, Start};
use factum_store_protocol::v1::consume_response::{Delivery, Message};
use factum_store_protocol::v1::consumer_group_service_client::ConsumerGroupServiceClient;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::server::LIMIT;

pub type Groups = ConsumerGroupServiceClient<Channel>;

/// A consumer that a test controls.
pub struct Consumer {
    pub requests: mpsc::Sender<v1::ConsumeRequest>,
    pub responses: Streaming<v1::ConsumeResponse>,
}

impl Consumer {
    pub async fn join(groups: &mut Groups, start: Start) -> Result<Self, Status> {
        let (requests, receiver) = mpsc::channel(100);
        let start = Some(Request::Start(start));
        let first = v1::ConsumeRequest { message: start };
        requests.send(first).await.unwrap();
        let responses = groups.consume(ReceiverStream::new(receiver)).await?;
        Ok(Self {
            requests,
            responses: responses.into_inner(),
        })
    }

    pub async fn send(&self, message: Request) {
        let message = Some(message);
        // The server may have ended the call.
        let _ = self.requests.send(v1::ConsumeRequest { message }).await;
    }

    pub async fn ack(&self, delivery: &Delivery) {
        self.send(Request::Ack(ack(delivery))).await;
    }

    pub async fn nack(&self, delivery: &Delivery, action: Action) {
        self.send(Request::Nack(nack(delivery, action))).await;
    }

    /// Waits for the next message; `None` at the end of the call.
    pub async fn next(&mut self) -> Option<Message> {
        let message = timeout(LIMIT, self.responses.message()).await.unwrap();
        message.unwrap()?.message
    }

    /// Waits for the next delivery.
    pub async fn delivery(&mut self) -> Delivery {
        loop {
            match self.next().await {
                Some(Message::Delivery(delivery)) => return delivery,
                Some(Message::Stopped(stopped)) => panic!("{stopped:?}"),
                Some(_) => {}
                None => panic!("the call has ended"),
            }
        }
    }

    /// Waits for the last message.
    pub async fn stopped(&mut self) -> v1::Stopped {
        loop {
            match self.next().await {
                Some(Message::Stopped(stopped)) => {
                    assert_eq!(self.next().await, None, "it is the last message");
                    return stopped;
                }
                Some(_) => {}
                None => panic!("the call has ended without a reason"),
            }
        }
    }

    /// Waits until the positions are settled.
    pub async fn settled(&mut self, positions: &[u64]) {
        let mut left: BTreeSet<u64> = positions.iter().copied().collect();
        while !left.is_empty() {
            match self.next().await {
                Some(Message::Settled(settled)) => {
                    left.retain(|position| !settled.positions.contains(position));
                }
                Some(Message::NotSettled(lost)) => panic!("{lost:?}"),
                Some(_) => {}
                None => panic!("the call has ended"),
            }
        }
    }
}

pub fn position(delivery: &Delivery) -> u64 {
    delivery.event.as_ref().unwrap().position
}

pub fn ack(delivery: &Delivery) -> Ack {
    Ack {
        partition: delivery.partition,
        fence: delivery.fence,
        positions: vec![position(delivery)],
    }
}

pub fn nack(delivery: &Delivery, action: Action) -> Nack {
    Nack {
        partition: delivery.partition,
        fence: delivery.fence,
        position: position(delivery),
        action: action.into(),
        retry_after: None,
        reason: "the test says so".to_owned(),
    }
}

pub fn start(group: &str, credit: u32) -> Start {
    Start {
        group: group.to_owned(),
        consumer: "test".to_owned(),
        credit,
        ..Start::default()
    }
}

pub fn duration(millis: u64) -> Option<prost_types::Duration> {
    Some(Duration::from_millis(millis).try_into().unwrap())
}

/// The record of what the consumers of a group did.
#[derive(Default)]
pub struct Record {
    /// The stored events by position: stream, version, and whether consumers reject it.
    pub events: BTreeMap<u64, (String, u64, bool)>,
    /// The processed events, by stream and version.
    pub processed: BTreeSet<(String, u64)>,
    /// How often each position was confirmed.
    pub confirmed: HashMap<u64, u32>,
    pub deliveries: u64,
    pub violations: Vec<String>,
}

impl Record {
    /// Records that a consumer processes an event: the earlier ones of its stream must be processed or rejected.
    fn process(&mut self, delivery: &Delivery) -> bool {
        self.deliveries += 1;
        let event = delivery.event.as_ref().unwrap();
        let is_poison = event.data.starts_with(b"poison");
        for version in 1..event.version {
            let earlier = (event.stream.clone(), version);
            if self.processed.contains(&earlier) {
                continue;
            }
            let is_rejected = self.events.values().any(|(stream, at, rejected)| {
                *rejected && (stream, *at) == (&event.stream, version)
            });
            if !is_rejected {
                let (stream, at) = (&event.stream, event.version);
                self.violations
                    .push(format!("{stream} {at} before {version}"));
            }
        }
        if !is_poison {
            self.processed.insert((event.stream.clone(), event.version));
        }
        is_poison
    }
}

/// Joins a group, works, and joins again after the connection is lost, until the task is aborted.
pub async fn work(url: Arc<Mutex<String>>, group: String, record: Arc<Mutex<Record>>) {
    loop {
        let server = url.lock().unwrap().clone();
        if let Ok(mut groups) = Groups::connect(server).await {
            let start = start(&group, 20);
            if let Ok(consumer) = Consumer::join(&mut groups, start).await {
                work_connected(consumer, &record).await;
            }
        }
        tokio::task::yield_now().await;
    }
}

async fn work_connected(mut consumer: Consumer, record: &Mutex<Record>) {
    while let Ok(Some(message)) = consumer.responses.message().await {
        match message.message {
            Some(Message::Delivery(delivery)) => {
                let is_poison = record.lock().unwrap().process(&delivery);
                // The work.
                tokio::time::sleep(Duration::from_millis(5)).await;
                match is_poison {
                    true => consumer.nack(&delivery, Action::Retry).await,
                    false => consumer.ack(&delivery).await,
                }
                consumer.send(Request::Credit(Credit { events: 1 })).await;
            }
            Some(Message::Settled(settled)) => {
                let mut record = record.lock().unwrap();
                for position in settled.positions {
                    *record.confirmed.entry(position).or_default() += 1;
                }
            }
            Some(Message::Checkpoint(_)) => consumer.send(Request::Heartbeat(Heartbeat {})).await,
            Some(_) => {}
            None => return,
        }
    }
}
