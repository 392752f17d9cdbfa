//! [`panic_response`]: the response to a call that panicked.

use std::any::Any;

use hyper::Response;
use tonic::Status;
use tonic::body::Body;

/// Creates the response to a call that panicked. The panic hook reports the panic itself.
#[must_use]
pub fn panic_response(_: Box<dyn Any + Send>) -> Response<Body> {
    Status::internal("internal error; see the log of the server").into_http()
}
