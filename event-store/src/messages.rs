//! [`Messages`]: the answer of a call with several messages.

use std::pin::Pin;

use futures_util::Stream;
use tonic::Status;

/// The messages of a call that the server sends one after the other.
pub type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
