//! [`Session`]: a connection of a consumer, as the coordinator sees it.

use super::window::Millis;

/// A connection of a consumer.
#[derive(Debug, Clone)]
pub struct Session {
    /// The number of events that the consumer can take; `u32::MAX` if only its unanswered deliveries are limited.
    pub credit: u32,
    /// The number of unanswered deliveries.
    pub in_flight: u32,
    /// The maximum number of unanswered deliveries, beside that of the group.
    pub max_in_flight: u32,
    /// The time of the last message.
    pub last_seen: Millis,
    /// The time without a message after which the consumer is considered dead.
    pub timeout: Millis,
}

impl Session {
    /// Returns the number of events that can be delivered now.
    pub fn capacity(&self, max_in_flight: u32) -> u32 {
        let max_in_flight = max_in_flight.min(self.max_in_flight);
        let free = max_in_flight.saturating_sub(self.in_flight);
        self.credit.min(free)
    }

    /// Returns the time at which the consumer is considered dead.
    pub fn deadline(&self) -> Millis {
        self.last_seen.saturating_add(self.timeout)
    }

    /// Records that a delivery has ended.
    pub fn delivery_ended(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

/// A notice of the coordinator to a consumer.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice<E> {
    /// The consumer receives the events of a partition from now on.
    Assigned {
        /// The partition.
        partition: u16,
        /// The fencing token.
        fence: u64,
        /// The position up to which the events of the partition are settled.
        position: u64,
    },
    /// The answers of the consumer for a partition count no longer.
    Revoked {
        /// The partition.
        partition: u16,
        /// The fencing token.
        fence: u64,
        /// The reason.
        reason: &'static str,
    },
    /// An event.
    Delivery {
        /// The partition.
        partition: u16,
        /// The fencing token.
        fence: u64,
        /// The position.
        position: u64,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// The event.
        event: E,
    },
    /// Answers that are stored.
    Settled {
        /// The partition.
        partition: u16,
        /// The fencing token.
        fence: u64,
        /// The positions of the events.
        positions: Vec<u64>,
    },
    /// Answers that do not count.
    NotSettled {
        /// The partition.
        partition: u16,
        /// The fencing token.
        fence: u64,
        /// The positions of the events.
        positions: Vec<u64>,
        /// The reason.
        reason: &'static str,
    },
}
