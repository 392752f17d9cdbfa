//! [`HeaderCredentials`]: the header `authorization` of a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

/// The longest header that is examined, in bytes.
const MAX_HEADER: usize = 4_096;

/// The credentials of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum HeaderCredentials {
    /// Basic authentication (RFC 7617).
    Basic {
        /// The name of the user.
        user: String,
        /// The password.
        password: String,
    },
    /// A bearer token (RFC 6750).
    Bearer(String),
}

/// The header `authorization` cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedHeader;

impl HeaderCredentials {
    /// Returns the credentials in the headers of a request; `None` if there are none.
    ///
    /// # Errors
    /// Returns an error if the header occurs twice, is longer than 4 KiB, or has another form.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, MalformedHeader> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() || value.len() > MAX_HEADER {
            return Err(MalformedHeader);
        }
        let value = value.to_str().map_err(|_| MalformedHeader)?;
        let (scheme, rest) = value.split_once(' ').ok_or(MalformedHeader)?;
        let rest = rest.trim();
        if rest.is_empty() {
            return Err(MalformedHeader);
        }
        if scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Some(Self::Bearer(rest.to_owned())));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(MalformedHeader);
        }
        let decoded = STANDARD.decode(rest).map_err(|_| MalformedHeader)?;
        let decoded = String::from_utf8(decoded).map_err(|_| MalformedHeader)?;
        let (user, password) = decoded.split_once(':').ok_or(MalformedHeader)?;
        Ok(Some(Self::Basic {
            user: user.to_owned(),
            password: password.to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(values: &[&str]) -> Result<Option<HeaderCredentials>, MalformedHeader> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().expect("a header"));
        }
        HeaderCredentials::from_headers(&headers)
    }

    fn basic(user: &str, password: &str) -> Result<Option<HeaderCredentials>, MalformedHeader> {
        Ok(Some(HeaderCredentials::Basic {
            user: user.to_owned(),
            password: password.to_owned(),
        }))
    }

    #[test]
    fn header_has_a_password_or_a_token() {
        let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(parsed(&[]) == Ok(None));
        assert!(parsed(&["Bearer abc"]) == Ok(Some(HeaderCredentials::Bearer("abc".to_owned()))));
        assert!(parsed(&["bearer abc"]) == parsed(&["Bearer abc"]));
        assert!(parsed(&[&encoded("admin:changeit")]) == basic("admin", "changeit"));
        assert!(parsed(&[&encoded("a:b:c")]) == basic("a", "b:c"));
        assert!(parsed(&[&encoded("ä:ö")]) == basic("ä", "ö"));
        let long = format!("Bearer {}", "x".repeat(MAX_HEADER));
        for malformed in [
            &["Basic"][..],
            &["Basic "],
            &["Basic ???"],
            &[&encoded("no colon")],
            &["Basic /////w=="],
            &["Digest abc"],
            &["Bearer a", "Bearer b"],
            &[&long],
        ] {
            assert!(parsed(malformed) == Err(MalformedHeader), "{malformed:?}");
        }
    }
}
