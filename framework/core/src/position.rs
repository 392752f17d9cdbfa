//! Places: a [`Version`] counts within one stream, a [`Position`] within the whole store.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! place {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Before the first event.
            pub const ZERO: Self = Self(0);
            /// The largest place that every backend can hold: 2⁶³ − 1.
            pub const MAX: Self = Self(i64::MAX as u64);

            /// The place `value`, cut down to [`Self::MAX`].
            #[must_use]
            pub const fn new(value: u64) -> Self {
                if value > Self::MAX.0 { Self::MAX } else { Self(value) }
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The place `count` further on, at most [`Self::MAX`].
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
            fn from(place: $name) -> Self {
                place.0
            }
        }
    };
}

place! {
    /// How many events a stream holds. 0: the stream does not exist. The first event has version 1.
    Version
}

place! {
    /// Where an event stands in the whole store: strictly increasing in commit order, without gaps,
    /// starting at 1. 0: before everything.
    Position
}
