//! [`Anomaly`]: a rule of a store that a history breaks, and its description.

use std::fmt::{self, Write as _};

use factum::store::{Append, Appended, ExpectedVersion, RecordedEvent};

use super::calls::{Call, History, Kind, Response};

/// The maximum number of related calls that a description shows.
const MAX_RELATED: usize = 12;

/// A rule that the history breaks. Calls are identified by their index in [`History::calls`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Anomaly {
    /// The log has a gap in its positions or in the versions of a stream, or its times decrease.
    #[error("entry {expected} of the log has position {}, version {} of {}, at {}", .event.position, .event.version, .event.stream, .event.recorded_at)]
    Gap {
        /// The expected position.
        expected: u64,
        /// The event at that index of the log.
        event: Box<RecordedEvent>,
    },
    /// The log contains an event that no client appended, or an event twice.
    #[error("the event at position {position} was not appended by a client, or is stored twice")]
    UnknownEvent {
        /// The position of the event.
        position: u64,
    },
    /// The events of an append are not stored together and unchanged.
    #[error("call {call} is stored only in part, or changed, at position {position}")]
    PartialAppend {
        /// The append.
        call: usize,
        /// The position of its first event.
        position: u64,
    },
    /// Two appends were stored under one key.
    #[error("calls {first} and {call} are stored under one key")]
    DuplicateKey {
        /// The later append.
        call: usize,
        /// The earlier append.
        first: usize,
    },
    /// An acknowledged append is not in the log.
    #[error("call {call} was acknowledged, but its events are lost")]
    LostAppend {
        /// The append.
        call: usize,
    },
    /// An append that failed is in the log.
    #[error("call {call} failed, but its events are stored at position {position}")]
    StoredDespiteError {
        /// The append.
        call: usize,
        /// The position of its first event.
        position: u64,
    },
    /// The receipt of an append does not match the log.
    #[error("call {call} has a receipt that does not match the log; expected {expected:?}")]
    WrongReceipt {
        /// The append.
        call: usize,
        /// The receipt that matches the log.
        expected: Box<Appended>,
    },
    /// An append was stored although it conflicted with the events before it.
    #[error(
        "call {call} is stored at position {position}, although it conflicts with earlier events"
    )]
    StoredDespiteConflict {
        /// The append.
        call: usize,
        /// The position of its first event.
        position: u64,
    },
    /// A response is not valid at any head.
    #[error("the response to call {call} is not valid at any head")]
    ImpossibleResponse {
        /// The call.
        call: usize,
    },
    /// A read observed a part of an append.
    #[error("call {call} observed a head inside an append")]
    PartialRead {
        /// The read.
        call: usize,
    },
    /// A page does not match the log at its head.
    #[error("call {call} returned a wrong page; expected positions {expected:?}, more: {more}")]
    WrongPage {
        /// The read.
        call: usize,
        /// The expected positions.
        expected: Vec<u64>,
        /// Whether more events were expected.
        more: bool,
    },
    /// A response is valid only at heads before the start of its call.
    ///
    /// This includes an append whose position is not after a head that was observed before it started.
    #[error("the response to call {call} is valid at heads {} to {}, but head {observed} was observed before the call", .valid.0, .valid.1)]
    NotLinearizable {
        /// The call.
        call: usize,
        /// The heads at which its response is valid.
        valid: (u64, u64),
        /// A head that was observed before the call started.
        observed: u64,
        /// The call that observed this head.
        observed_by: Option<usize>,
    },
    /// A subscriber missed an event, or received events twice or out of order.
    #[error("subscriber {subscriber} received position {actual:?}; expected {expected:?}")]
    WrongSubscription {
        /// Its index in [`History::subscribers`].
        subscriber: usize,
        /// The expected position.
        expected: Option<u64>,
        /// The received position.
        actual: Option<u64>,
    },
}

impl Anomaly {
    /// Returns the calls that the anomaly involves.
    #[must_use]
    pub fn calls(&self) -> Vec<usize> {
        match *self {
            Self::PartialAppend { call, .. }
            | Self::LostAppend { call }
            | Self::StoredDespiteError { call, .. }
            | Self::WrongReceipt { call, .. }
            | Self::StoredDespiteConflict { call, .. }
            | Self::ImpossibleResponse { call }
            | Self::PartialRead { call }
            | Self::WrongPage { call, .. } => vec![call],
            Self::DuplicateKey { call, first } => vec![call, first],
            Self::NotLinearizable {
                call, observed_by, ..
            } => [call].into_iter().chain(observed_by).collect(),
            Self::Gap { .. } | Self::UnknownEvent { .. } | Self::WrongSubscription { .. } => {
                Vec::new()
            }
        }
    }
}

impl History {
    /// Returns a text with the anomaly, its calls, and the latest related appends.
    ///
    /// Related appends write to the same streams, and started before the last of the calls ended. The calls are in
    /// the order in which they started.
    #[must_use]
    pub fn describe(&self, anomaly: &Anomaly) -> String {
        let mut text = format!("{anomaly}\n");
        let involved = anomaly.calls();
        let Some(first) = involved
            .iter()
            .map(|call| &self.calls[*call])
            .min_by_key(|c| c.started)
        else {
            return text;
        };
        let end = involved.iter().map(|call| self.calls[*call].ended).max();
        let mut related: Vec<usize> = (0..self.calls.len())
            .filter(|call| !involved.contains(call) && self.calls[*call].touches(first))
            .filter(|call| Some(self.calls[*call].started) < end)
            .collect();
        related.sort_unstable_by_key(|call| std::cmp::Reverse(self.calls[*call].ended));
        related.truncate(MAX_RELATED);
        let mut shown: Vec<usize> = involved.iter().copied().chain(related).collect();
        shown.sort_unstable_by_key(|call| self.calls[*call].started);
        for call in shown {
            let mark = if involved.contains(&call) { '>' } else { ' ' };
            // Writing to a string does not fail.
            let _ = writeln!(text, "{mark} {call:>5} {}", self.calls[call]);
        }
        text
    }
}

impl Call {
    fn touches(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Append(ours, _), Kind::Append(theirs, _)) => {
                let theirs: Vec<_> = theirs.streams.iter().map(|part| &part.stream).collect();
                ours.streams
                    .iter()
                    .any(|part| theirs.contains(&&part.stream))
            }
            (Kind::Append(..), Kind::Read(..)) => true,
            (Kind::Read(..), _) => false,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[{:>6} {:>6}] client {:<2} ",
            self.started, self.ended, self.client
        )?;
        match &self.kind {
            Kind::Append(append, response) => {
                write_append(f, append)?;
                write_response(f, response)
            }
            Kind::Read(read, page) => {
                let found = page.events.iter().map(|event| event.position.get());
                let found: Vec<u64> = found.collect();
                write!(
                    f,
                    "{read:?} -> {found:?}, head {}, more {}",
                    page.head, page.more
                )
            }
        }
    }
}

fn write_append(f: &mut fmt::Formatter<'_>, append: &Append) -> fmt::Result {
    f.write_str("append")?;
    for (index, part) in append.streams.iter().enumerate() {
        let events = append.events.iter();
        let count = events.filter(|event| event.stream == index).count();
        let expected = match part.expected {
            ExpectedVersion::Any => "any".to_owned(),
            ExpectedVersion::NoStream => "none".to_owned(),
            ExpectedVersion::StreamExists => "some".to_owned(),
            ExpectedVersion::Exact(version) => format!("at {version}"),
        };
        write!(f, " {}({expected})+{count}", part.stream)?;
    }
    if let Some(condition) = &append.condition {
        write!(
            f,
            " unless {:?} after {}",
            condition.query.items(),
            condition.after
        )?;
    }
    match &append.key {
        Some(key) => write!(f, " key {:?}/{}", key.key, key.fingerprint.as_fields().0),
        None => Ok(()),
    }
}

fn write_response(f: &mut fmt::Formatter<'_>, response: &Response) -> fmt::Result {
    f.write_str(" -> ")?;
    match response {
        Response::Stored(receipt) => {
            f.write_str(if receipt.repeated { "again" } else { "stored" })?;
            write!(f, " {} up to {}", receipt.count, receipt.position)?;
            receipt
                .versions
                .iter()
                .try_for_each(|(stream, version)| write!(f, ", {stream} at {version}"))
        }
        Response::Conflict(conflict) => write!(f, "{conflict}"),
        Response::KeyReused => f.write_str("key reused"),
        Response::NotStored(error) => write!(f, "not stored: {error}"),
        Response::Unknown(error) => write!(f, "unknown: {error}"),
    }
}
