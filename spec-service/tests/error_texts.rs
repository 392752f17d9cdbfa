//! The texts of the errors of the service: lower case, no full stop, the value, and no repetition of the source.

use std::error::Error;

use factum::Position;
use factum::store::{InvalidField, StoreError};
use spec_service::app::AppError;
use spec_service::content::{ContentError, Location};
use spec_service::specs::domain::{SpecName, SpecRejection};

#[test]
fn errors_of_the_service_are_useful_alone() {
    let (line, column) = (3, 1);
    let location = Location {
        line,
        column,
        document: Some(2),
    };
    let name = SpecName::parse("no spaces").unwrap_err();
    let texts: Vec<(AppError, &[&str])> = vec![
        (name.into(), &["no spaces", "allowed"]),
        (ContentError::Empty.into(), &["no YAML document"]),
        (
            ContentError::TabAfterColon { at: location }.into(),
            &["document 2, line 3, column 1", "write a space"],
        ),
        (
            SpecRejection::NotFound.into(),
            &["not found", "check the id"],
        ),
        (
            SpecRejection::AlreadyPublished { version: 7 }.into(),
            &["7", "choose another"],
        ),
        (
            SpecRejection::NoSuchVersion {
                requested: 9,
                latest: 7,
            }
            .into(),
            &["9", "7"],
        ),
        (AppError::InvalidLimit { limit: 0 }, &["0", "1 to 100"]),
        (AppError::InvalidKey { bytes: 0 }, &["0 bytes", "1 to"]),
        (AppError::Contended, &["try again"]),
        (
            AppError::BeyondHead {
                position: Position::new(9),
                head: Position::new(4),
            },
            &["9", "4", "continue from"],
        ),
        (AppError::ReadOnly, &["cannot write", "a node that can"]),
        (
            StoreError::from(InvalidField::text("reason", "a\0", "no NUL")).into(),
            &["reason", "no NUL"],
        ),
        (StoreError::Closed.into(), &["unavailable", "try again"]),
        (
            StoreError::Failed("disk 7 is gone".into()).into(),
            &["internal error"],
        ),
    ];
    for (error, words) in texts {
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "{word:?} is not in {text:?}");
        }
        assert!(!text.ends_with('.'), "{text}");
        assert!(!text.starts_with(char::is_uppercase), "{text}");
        let mut source = error.source();
        while let Some(cause) = source {
            assert!(
                !text.contains(&cause.to_string()),
                "{text:?} repeats {cause}"
            );
            source = cause.source();
        }
    }
}
