//! Errors of access control arrive at the client with their facts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use factum_core::append::{Append, AppendError};
use factum_core::error::{Denied, StoreError};
use factum_store_protocol::refusal::{
    RequestKind, append_error, failure, status_of, store_error, store_status, throttled_status,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

fn denied() -> Denied {
    Denied {
        principal: r#"user "shop""#.to_owned(),
        permission: "append".to_owned(),
        resource: r#"stream "salary-7""#.to_owned(),
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[test]
fn denied_request_arrives_with_its_facts() {
    let status = store_status(&denied().into());
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(reason(&status), "PERMISSION_DENIED");
    // Also as one answer of a stream of appends.
    let status = status_of(failure(&status));
    let AppendError::Store(StoreError::Denied(facts)) = append_error(status, &Append::default())
    else {
        panic!("expected a denied append");
    };
    assert_eq!(facts, denied());
}

#[test]
fn rejected_credentials_arrive_with_the_reason() {
    let error = StoreError::Unauthenticated("the token was revoked".to_owned());
    let status = store_status(&error);
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(reason(&status), "UNAUTHENTICATED");
    let arrived = store_error(status, RequestKind::Write);
    assert_eq!(arrived.to_string(), error.to_string());
}

#[test]
fn throttled_client_may_retry_after_a_pause() {
    let status = throttled_status(Duration::from_millis(1_500));
    assert_eq!(status.code(), Code::ResourceExhausted);
    let retry = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(retry, Some(Duration::from_millis(1_500)));
    assert!(status.message().ends_with("wait 2 s before the next one"));
    let error = store_error(status, RequestKind::Write);
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}
