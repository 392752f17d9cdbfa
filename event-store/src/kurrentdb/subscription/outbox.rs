//! [`Outbox`]: the messages of a subscription that are not sent yet.

use std::collections::VecDeque;

use factum::Timestamp;
use factum_compatible_protocols::kurrentdb::client::streams::ReadResp;
use factum_compatible_protocols::kurrentdb::client::streams::read_resp::{
    CaughtUp, Content, FellBehind, Position,
};

/// The place up to which a subscription has returned events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionProgress {
    /// A revision; -1 before the first event.
    Revision(i64),
    /// A position.
    Position(u64),
}

impl SubscriptionProgress {
    fn fields(self) -> (Option<i64>, Option<Position>) {
        match self {
            Self::Revision(revision) => (Some(revision), None),
            Self::Position(position) => {
                let (commit_position, prepare_position) = (position, position);
                (
                    None,
                    Some(Position {
                        commit_position,
                        prepare_position,
                    }),
                )
            }
        }
    }
}

/// The messages of a subscription that are not sent yet, and whether the client has received all stored events.
#[derive(Default)]
pub struct Outbox {
    /// The messages.
    pub ready: VecDeque<ReadResp>,
    is_caught_up: bool,
}

impl Outbox {
    /// Adds a message.
    pub fn push(&mut self, content: Content) {
        self.ready.push_back(ReadResp {
            content: Some(content),
        });
    }

    /// Records whether there are more stored events, and reports a change.
    pub fn caught_up(&mut self, is_caught_up: bool, progress: SubscriptionProgress) {
        if is_caught_up == self.is_caught_up {
            return;
        }
        self.is_caught_up = is_caught_up;
        let timestamp = Some(now());
        let (stream_revision, position) = progress.fields();
        self.push(match is_caught_up {
            true => Content::CaughtUp(CaughtUp {
                timestamp,
                stream_revision,
                position,
            }),
            false => Content::FellBehind(FellBehind {
                timestamp,
                stream_revision,
                position,
            }),
        });
    }
}

/// Returns the time as a message.
#[must_use]
pub fn now() -> prost_types::Timestamp {
    let micros = Timestamp::now().as_micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: (micros.rem_euclid(1_000_000) * 1_000) as i32,
    }
}
