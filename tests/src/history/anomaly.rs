//! [`Anomaly`]: what no correct store answers, and how it is told.

use std::fmt::{self, Write as _};

use factum::{Append, Appended, ExpectedVersion, RecordedEvent};

use super::{Answer, Call, History, Kind};

/// How many calls around a fault are shown.
const AROUND: usize = 12;

/// Something that no correct store answers. Calls are named by their number in [`History::calls`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Anomaly {
    /// The log has a gap, in its positions or in the versions of a stream, or time goes back in it.
    #[error("entry {expected} of the log has position {}, version {} of {}, at {}", .event.position, .event.version, .event.stream, .event.recorded_at)]
    Gap {
        /// The position that it should have.
        expected: u64,
        /// What stands there.
        event: Box<RecordedEvent>,
    },
    /// The log holds an event that nobody appended, or one twice.
    #[error("nobody appended what stands at position {position}, or it stands there twice")]
    Foreign {
        /// Where it stands.
        position: u64,
    },
    /// The events of an append do not stand together as they were given.
    #[error("call {call} is not stored as a whole at position {position}")]
    Half {
        /// The append.
        call: usize,
        /// Where it begins.
        position: u64,
    },
    /// Two appends were stored under one key.
    #[error("calls {first} and {call} are stored under one key")]
    KeyTwice {
        /// The later append.
        call: usize,
        /// The one ahead of it.
        first: usize,
    },
    /// An acknowledged append is not in the log.
    #[error("call {call} was acknowledged, and its events are lost")]
    Lost {
        /// The append.
        call: usize,
    },
    /// An append that was rejected is in the log.
    #[error("call {call} was told that nothing is stored, and stands at position {position}")]
    Denied {
        /// The append.
        call: usize,
        /// Where it begins.
        position: u64,
    },
    /// An acknowledgement does not tell of what is in the log.
    #[error("call {call} is stored otherwise than it was told: {expected:?}")]
    Receipt {
        /// The append.
        call: usize,
        /// What it should have been told.
        expected: Box<Appended>,
    },
    /// An append was stored although what it expected did not hold just ahead of it.
    #[error("call {call} is stored at position {position}, where what it expected did not hold")]
    Swallowed {
        /// The append.
        call: usize,
        /// Where it begins.
        position: u64,
    },
    /// An answer that was right at no time.
    #[error("the answer to call {call} was never true")]
    NeverTrue {
        /// The call.
        call: usize,
    },
    /// A reader saw a part of an append.
    #[error("call {call} saw a head that stands within an append")]
    HalfSeen {
        /// The read.
        call: usize,
    },
    /// A page is not what the store held at its head.
    #[error("call {call} should have found the positions {expected:?}, more: {more}")]
    Page {
        /// The read.
        call: usize,
        /// The positions that it should have found.
        expected: Vec<u64>,
        /// Whether there was more.
        more: bool,
    },
    /// An answer that was right only before its call began, or an append that was put ahead of what had
    /// been seen before it began.
    #[error("the answer to call {call} was true at heads {} to {}, but head {known} was there before it began", .right.0, .right.1)]
    Order {
        /// The call.
        call: usize,
        /// The heads at which its answer was right.
        right: (u64, u64),
        /// A head that was there before.
        known: u64,
        /// The call that knew it.
        by: Option<usize>,
    },
    /// A subscriber missed an event, or saw one twice or out of order.
    #[error("subscriber {subscriber} should have seen position {expected:?} and saw {saw:?}")]
    Subscriber {
        /// Its number in [`History::subscribers`].
        subscriber: usize,
        /// The position that should have come next.
        expected: Option<u64>,
        /// The one that came.
        saw: Option<u64>,
    },
}

impl Anomaly {
    /// The calls that it is about.
    #[must_use]
    pub fn calls(&self) -> Vec<usize> {
        match *self {
            Self::Half { call, .. }
            | Self::Lost { call }
            | Self::Denied { call, .. }
            | Self::Receipt { call, .. }
            | Self::Swallowed { call, .. }
            | Self::NeverTrue { call }
            | Self::HalfSeen { call }
            | Self::Page { call, .. } => vec![call],
            Self::KeyTwice { call, first } => vec![call, first],
            Self::Order { call, by, .. } => [call].into_iter().chain(by).collect(),
            Self::Gap { .. } | Self::Foreign { .. } | Self::Subscriber { .. } => Vec::new(),
        }
    }
}

impl History {
    /// `fault` for people: what is wrong, the calls that it is about, and the appends to the same streams that
    /// were under way or stored last, in the order in which they began.
    #[must_use]
    pub fn describe(&self, fault: &Anomaly) -> String {
        let mut text = format!("{fault}\n");
        let about = fault.calls();
        let Some(first) = about
            .iter()
            .map(|call| &self.calls[*call])
            .min_by_key(|c| c.began)
        else {
            return text;
        };
        let end = about.iter().map(|call| self.calls[*call].ended).max();
        let mut around: Vec<usize> = (0..self.calls.len())
            .filter(|call| !about.contains(call) && self.calls[*call].touches(first))
            .filter(|call| Some(self.calls[*call].began) < end)
            .collect();
        around.sort_unstable_by_key(|call| std::cmp::Reverse(self.calls[*call].ended));
        around.truncate(AROUND);
        let mut shown: Vec<usize> = about.iter().copied().chain(around).collect();
        shown.sort_unstable_by_key(|call| self.calls[*call].began);
        for call in shown {
            let mark = if about.contains(&call) { '>' } else { ' ' };
            // Writing to a text does not fail.
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
            self.began, self.ended, self.client
        )?;
        match &self.kind {
            Kind::Append(append, answer) => {
                write_append(f, append)?;
                write_answer(f, answer)
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
    for part in &append.streams {
        let expected = match part.expected {
            ExpectedVersion::Any => "any".to_owned(),
            ExpectedVersion::NoStream => "none".to_owned(),
            ExpectedVersion::StreamExists => "some".to_owned(),
            ExpectedVersion::Exact(version) => format!("at {version}"),
        };
        write!(f, " {}({expected})+{}", part.stream, part.events.len())?;
    }
    if let Some(condition) = &append.condition {
        write!(
            f,
            " unless {:?} behind {}",
            condition.query.items(),
            condition.after
        )?;
    }
    match &append.key {
        Some(key) => write!(f, " key {:?}/{}", key.key, key.fingerprint.as_fields().0),
        None => Ok(()),
    }
}

fn write_answer(f: &mut fmt::Formatter<'_>, answer: &Answer) -> fmt::Result {
    f.write_str(" -> ")?;
    match answer {
        Answer::Stored(told) => {
            f.write_str(if told.repeated { "again" } else { "stored" })?;
            write!(f, " {} up to {}", told.count, told.position)?;
            told.versions
                .iter()
                .try_for_each(|(stream, version)| write!(f, ", {stream} at {version}"))
        }
        Answer::Conflict(conflict) => write!(f, "{conflict}"),
        Answer::KeyReused => f.write_str("key reused"),
        Answer::NotStored(error) => write!(f, "not stored: {error}"),
        Answer::Unknown(error) => write!(f, "unknown: {error}"),
    }
}
