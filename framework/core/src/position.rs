//! [`Version`] and [`Position`]: the number of an event in its stream and in the store.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! event_number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The number 0, before the first event.
            pub const ZERO: Self = Self(0);
            /// The largest number that every backend can store: 2⁶³ − 1.
            pub const MAX: Self = Self(i64::MAX as u64);

            /// Creates it from a number; larger numbers than [`Self::MAX`] become [`Self::MAX`].
            #[must_use]
            pub const fn new(value: u64) -> Self {
                if value > Self::MAX.0 { Self::MAX } else { Self(value) }
            }

            /// Returns the number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// Adds `count`; the result is at most [`Self::MAX`].
            #[must_use]
            pub const fn plus(self, count: u64) -> Self {
                Self::new(self.0.saturating_add(count))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<u64> for $name {
            fn from(value: u64) -> Self {
                Self::new(value)
            }
        }

        impl From<$name> for u64 {
            fn from(number: $name) -> Self {
                number.0
            }
        }
    };
}

event_number! {
    /// The number of events in a stream.
    ///
    /// The first event has version 1. Version 0 means that the stream does not exist.
    Version
}

event_number! {
    /// The position of an event in the store.
    ///
    /// Positions start at 1 and increase in commit order, without gaps. Position 0 is before the first event.
    Position
}
