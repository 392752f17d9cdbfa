//! The texts of errors: each is useful alone, begins in lower case, has no full stop, and does not repeat its source.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/sources.rs"]
mod sources;

use std::error::Error;
use std::fs;

use factum::privacy::{InvalidMasterKey, KeyError};
use factum::runtime::{
    BatchError, ConsumerError, ControlError, EventError, InvalidSchedule, StartError, WaitError,
};
use factum::schema::{Incompatibility, LockError};
use factum::store::{Denied, DocumentError, InvalidDocumentChanges, Position, StoreError};
use factum_sqlite::SqlError;
use proc_macro2::{TokenStream, TokenTree};
use sources::{relative, rust_files};

/// Returns why the text of an error is not well formed.
fn problem_of(text: &str) -> Option<&'static str> {
    let mut first = text.chars();
    let (first, second) = (first.next(), first.next());
    // A name, such as PostgreSQL or JSON, has more than one upper-case letter.
    let is_sentence =
        first.is_some_and(char::is_uppercase) && second.is_some_and(char::is_lowercase);
    let is_name = text.starts_with("PostgreSQL");
    match () {
        () if text.is_empty() => Some("it is empty"),
        () if is_sentence && !is_name => Some("it begins in upper case"),
        () if text.ends_with(['.', '!', '\n', ' ']) => Some("it ends with a full stop"),
        () => None,
    }
}

/// Checks an error, and that its text has these words: the value, and the next step.
#[track_caller]
fn check(error: &dyn Error, words: &[&str]) {
    let text = error.to_string();
    assert_eq!(problem_of(&text), None, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        assert!(
            !text.contains(&cause_text),
            "{text:?} repeats {cause_text:?}"
        );
        source = cause.source();
    }
}

fn invalid_json() -> serde_json::Error {
    serde_json::from_str::<u32>("x").unwrap_err()
}

#[test]
fn errors_of_handles_are_useful_alone() {
    let name = || "counts".to_owned();
    let position = Position::new(7);
    let controls = [
        (
            ControlError::Unknown {
                kind: "projection",
                name: name(),
                known: vec!["sums".to_owned()],
            },
            ["counts", "sums", "Runtime::builder"],
        ),
        (
            ControlError::NotDeadLettered {
                name: name(),
                position,
            },
            ["counts", "7", "dead_letters"],
        ),
        (
            ControlError::NotFailed {
                instance: "order-1".to_owned(),
                number: 3,
            },
            ["order-1", "3", "failed_deliveries"],
        ),
        (
            ControlError::ScheduleInUse { name: name() },
            ["counts", "schedule", "remove it from the builder"],
        ),
        (
            WaitError::Stopped {
                name: name(),
                position,
                error: "no such table".to_owned(),
            }
            .into(),
            ["7", "no such table", "resume"],
        ),
        (
            WaitError::BeyondHead {
                name: name(),
                position,
                head: Position::new(3),
            }
            .into(),
            ["7", "3", "wait for a position"],
        ),
        (
            WaitError::ShutDown {
                name: name(),
                position,
            }
            .into(),
            ["counts", "7", "the next runtime continues"],
        ),
    ];
    for (error, words) in controls {
        check(&error, &words);
    }
}

#[test]
fn errors_of_the_runtime_are_useful_alone() {
    let name = || "counts".to_owned();
    let position = Position::new(7);
    let starts = [
        (
            StartError::InvalidName {
                kind: "projection",
                name: "a/b".to_owned(),
                limit: 100,
            },
            ["a/b", "100"],
        ),
        (
            StartError::ReservedName {
                kind: "projection",
                name: "process:a".to_owned(),
            },
            ["process:a", "choose another"],
        ),
        (
            StartError::DuplicateName {
                kind: "projection",
                name: name(),
            },
            ["counts", "a name of its own"],
        ),
        (
            StartError::OtherDatabase { name: name() },
            ["counts", "store.read_model"],
        ),
        (StartError::NoTokioRuntime, ["Tokio", "tokio::main"]),
    ];
    for (error, words) in starts {
        check(&error, &words);
    }
    let schedule = InvalidSchedule {
        name: name(),
        cron: "0 0 31 2 *".to_owned(),
        reason: "this date never occurs".to_owned(),
    };
    check(&schedule, &["counts", "0 0 31 2 *", "never occurs"]);
    let event = |error: ConsumerError| EventError::new(position, error);
    check(&event(ConsumerError::Blocked), &["retry or discard"]);
    check(
        &event(ConsumerError::Handler(invalid_json().into())),
        &["expected value"],
    );
    check(&BatchError::LeaseLost, &["another node"]);
    check(
        &BatchError::ReadModel("no such table".into()),
        &["read model"],
    );
    let inconsistent = BatchError::Inconsistent {
        reason: "panicked: x".to_owned(),
    };
    check(&inconsistent, &["panicked: x", "rebuild"]);
}

#[test]
fn errors_of_stores_are_useful_alone() {
    let twice = || InvalidDocumentChanges::DuplicateKey {
        key: "settings".to_owned(),
    };
    let broken = || StoreError::Failed(invalid_json().into());
    check(&broken(), &["expected value"]);
    check(&DocumentError::Invalid(twice()), &["settings", "combine"]);
    check(&DocumentError::Store(broken()), &["expected value"]);
    check(
        &DocumentError::Invalid(twice()).into_store_error(),
        &["settings", "combine"],
    );
    check(&StoreError::Unavailable("locked".into()), &["retry later"]);
    check(
        &StoreError::CannotOpen("no directory /x".to_owned()),
        &["/x"],
    );
    check(&StoreError::ReadOnly, &["read_only"]);
    let denied = Denied {
        principal: "user \"shop\"".to_owned(),
        permission: "append".to_owned(),
        resource: "stream \"order-7\"".to_owned(),
    };
    check(&StoreError::Denied(denied), &["shop", "append", "order-7"]);
    let revoked = StoreError::Unauthenticated("the token was revoked".to_owned());
    check(&revoked, &["not authenticated", "revoked"]);
    // The causes of a failure follow after the text that it shows.
    let failed = StoreError::Failed(Box::new(KeyError::Store(StoreError::Unavailable(
        "locked".into(),
    ))));
    check(&failed, &["retry later"]);
    assert_eq!(failed.source().unwrap().to_string(), "locked");
}

#[test]
fn errors_of_sql_are_useful_alone() {
    let errors = [
        (SqlError::driver(invalid_json()), ["database", "statement"]),
        (
            SqlError::TableName {
                text: "Owner".to_owned(),
                error: "syntax error".into(),
            },
            ["Owner", "a-z"],
        ),
        (
            SqlError::Braces {
                text: "owner".to_owned(),
                error: "syntax error".into(),
            },
            ["owner", "without braces"],
        ),
        (SqlError::NoRow, ["no row", "fetch_optional"]),
        (
            SqlError::ColumnNotFound {
                column: "\"name\"".to_owned(),
                columns: 2,
            },
            ["name", "2"],
        ),
        (
            SqlError::ColumnType {
                column: "\"name\"".to_owned(),
                found: "text".to_owned(),
                expected: "an integer",
            },
            ["text", "an integer"],
        ),
        (
            SqlError::UnsupportedType {
                column: "\"sum\"".to_owned(),
                sql_type: "numeric".to_owned(),
            },
            ["numeric", "cast"],
        ),
        (
            SqlError::NotFinite {
                parameter: 2,
                value: f64::NAN,
            },
            ["$2", "finite"],
        ),
        (
            SqlError::MissingParameter {
                parameter: "$3".to_owned(),
                bound: 2,
            },
            ["$3", "2"],
        ),
        (SqlError::Store(StoreError::Closed), ["store", "closed"]),
    ];
    for (error, words) in errors {
        check(&error, &words);
    }
}

#[test]
fn errors_of_privacy_are_useful_alone() {
    check(&KeyError::WrongMasterKey, &["master key", "use the"]);
    check(&KeyError::OtherKeyStore, &["key store", "open the"]);
    check(&KeyError::TooLong, &["256 GiB"]);
    check(&InvalidMasterKey, &["64 hexadecimal digits"]);
    let stored: StoreError = KeyError::WrongMasterKey.into();
    check(&stored, &["master key", "use the"]);
}

#[test]
fn errors_of_the_schema_lock_are_useful_alone() {
    let event = || "lamp.lit".to_owned();
    let incompatible = LockError::Incompatible(vec![
        Incompatibility::Removed {
            event: event(),
            renamed_to: None,
        },
        Incompatibility::RetiredInUse { event: event() },
    ]);
    check(&incompatible, &["lamp.lit", ".retired("]);
    check(
        &LockError::InvalidFile(invalid_json()),
        &["version control"],
    );
}

/// The derive of `thiserror` has the text as a literal, in every crate.
#[test]
fn error_literals_are_lower_case_without_full_stop() {
    let (mut found, mut checked) = (Vec::new(), 0);
    for folder in [
        "framework",
        "framework-macros/src",
        "adapters",
        "spec-service/src",
    ] {
        for file in rust_files(folder) {
            let text = fs::read_to_string(&file).unwrap();
            let Ok(tokens) = text.parse() else { continue };
            for literal in error_literals(tokens) {
                checked += 1;
                if let Some(problem) = problem_of(&literal) {
                    found.push(format!("{}: {problem}: {literal}", relative(&file)));
                }
            }
        }
    }
    assert!(checked > 150, "only {checked} texts were found");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Returns the literals of the attributes `#[error("…")]`.
fn error_literals(tokens: TokenStream) -> Vec<String> {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let mut literals = Vec::new();
    for (index, tree) in trees.iter().enumerate() {
        let TokenTree::Group(group) = tree else {
            continue;
        };
        let is_error = index > 0
            && matches!(&trees[index - 1], TokenTree::Ident(name) if *name == "error")
            && trees.len() == 2;
        let first = group.stream().into_iter().next();
        match first {
            Some(TokenTree::Literal(literal)) if is_error => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    literals.push(text.value());
                }
            }
            _ => literals.extend(error_literals(group.stream())),
        }
    }
    literals
}
