//! The values of single headers.

use axum::http::{HeaderMap, HeaderName};

use super::problem::Problem;

/// Returns the value of a header that must not be repeated.
///
/// A proxy could otherwise read another value than the service.
pub fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::malformed(format!(
            "repeated header: {name}; send it once"
        )));
    }
    let text = std::str::from_utf8(value.as_bytes());
    text.map(Some)
        .map_err(|_| invalid_header(name, "UTF-8 text"))
}

pub fn invalid_header(name: &HeaderName, expected: &str) -> Problem {
    Problem::malformed(format!("invalid header {name}; expected {expected}"))
}
