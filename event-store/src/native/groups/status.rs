//! Errors of groups as a status with details.

use std::collections::HashMap;
use std::time::Duration;

use factum_store_protocol::ERROR_DOMAIN;
use factum_store_protocol::invalid::InvalidMessage;
use factum_store_protocol::refusal::{invalid_status, store_status};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::groups::error::GroupError;

/// The time after which a client may retry.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Converts the error of a group into a status.
pub fn group_status(error: &GroupError) -> Status {
    let (code, reason) = match error {
        GroupError::Invalid { field, rule } => {
            return invalid_status(&InvalidMessage::new(field, rule));
        }
        GroupError::Store(error) => return store_status(error),
        GroupError::NotFound { .. } => (Code::NotFound, "GROUP_NOT_FOUND"),
        GroupError::Exists { .. } => (Code::AlreadyExists, "GROUP_EXISTS"),
        GroupError::OtherGeneration { .. } => (Code::Aborted, "GROUP_OTHER_GENERATION"),
        GroupError::Stopped { .. } => (Code::FailedPrecondition, "GROUP_STOPPED"),
        GroupError::TooMany { .. } => (Code::ResourceExhausted, "GROUP_LIMIT"),
        GroupError::Busy { .. } => (Code::Unavailable, "GROUP_BUSY"),
        GroupError::Stopping => (Code::Unavailable, "UNAVAILABLE"),
    };
    let facts = match error {
        GroupError::NotFound { name } | GroupError::Exists { name } | GroupError::Busy { name } => {
            vec![("group", name.clone())]
        }
        GroupError::OtherGeneration {
            name,
            expected,
            actual,
        } => vec![
            ("group", name.clone()),
            ("expected", expected.to_string()),
            ("actual", actual.to_string()),
        ],
        GroupError::Stopped { name, stop } => vec![
            ("group", name.clone()),
            ("position", stop.position.to_string()),
        ],
        GroupError::TooMany { what, limit } => {
            vec![("what", (*what).to_owned()), ("limit", limit.to_string())]
        }
        _ => Vec::new(),
    };
    let facts = facts
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, ERROR_DOMAIN, facts.collect::<HashMap<_, _>>());
    if code == Code::Unavailable {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    Status::with_error_details(code, error.to_string(), details)
}
