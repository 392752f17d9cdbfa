//! [`TargetUrl`]: the address that receives deliveries.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The maximum length of the address, in bytes.
const MAX_BYTES: usize = 2_048;

/// The address that receives deliveries: an absolute `https` or `http` URL without user and fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct TargetUrl(String);

/// The error of [`TargetUrl::parse`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidTargetUrl {
    /// The text is not an absolute URL.
    #[error("invalid URL: {0:?}; expected https://host/path in ASCII")]
    Malformed(String),
    /// The URL has another scheme than `https` and `http`.
    #[error("unsupported scheme in the URL: {0:?}; use https")]
    Scheme(String),
    /// The URL has a user or a password.
    #[error("the URL has a user; remove it, because the signature authenticates deliveries")]
    User,
    /// The URL has a fragment.
    #[error("the URL has a fragment; remove the part from `#` on")]
    Fragment,
    /// The URL is too long.
    #[error("the URL is too long: {actual} bytes; the limit is {MAX_BYTES}")]
    TooLong {
        /// The length in bytes.
        actual: usize,
    },
}

impl TargetUrl {
    /// Validates `text`. The address of the host is checked at each delivery, not here.
    ///
    /// # Errors
    /// Returns [`InvalidTargetUrl`], which names the rule that the text violates.
    pub fn parse(text: &str) -> Result<Self, InvalidTargetUrl> {
        if text.len() > MAX_BYTES {
            return Err(InvalidTargetUrl::TooLong { actual: text.len() });
        }
        if text.contains('#') {
            return Err(InvalidTargetUrl::Fragment);
        }
        let malformed = || InvalidTargetUrl::Malformed(text.chars().take(80).collect());
        // The others must be percent-encoded (RFC 3986, 2).
        let is_allowed = |byte: u8| byte.is_ascii_graphic() && !br#"\"<>^`{|}"#.contains(&byte);
        if !text.bytes().all(is_allowed) {
            return Err(malformed());
        }
        let (scheme, _) = text.split_once("://").ok_or_else(malformed)?;
        if !matches!(scheme, "https" | "http") {
            return Err(InvalidTargetUrl::Scheme(scheme.chars().take(40).collect()));
        }
        let authority = Parts::of(text).authority;
        if authority.contains('@') {
            return Err(InvalidTargetUrl::User);
        }
        let (host, port) = split_port(authority).ok_or_else(malformed)?;
        if !is_host(host) || port == Some(0) {
            return Err(malformed());
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether deliveries are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// Returns the host with the port, if the URL has one: the value of the header `Host`.
    #[must_use]
    pub fn authority(&self) -> &str {
        Parts::of(&self.0).authority
    }

    /// Returns the path with the query.
    #[must_use]
    pub fn path(&self) -> String {
        match Parts::of(&self.0).path {
            path if path.starts_with('/') => path.to_owned(),
            query => format!("/{query}"),
        }
    }

    /// Returns the host without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = self.authority();
        let host = split_port(authority).map_or(authority, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Returns the port, by default that of the scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        let default = if self.is_encrypted() { 443 } else { 80 };
        let port = split_port(self.authority()).and_then(|(_, port)| port);
        port.unwrap_or(default)
    }
}

/// The parts of a URL with a scheme.
struct Parts<'a> {
    authority: &'a str,
    /// The path with the query.
    path: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        Self { authority, path }
    }
}

/// Splits `host:port`. Returns `None` if the port is not valid.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let end_of_address = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[end_of_address..].rfind(':') {
        None => Some((authority, None)),
        Some(colon) => {
            let (host, port) = authority.split_at(end_of_address + colon);
            let digits = &port[1..];
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
            let port = is_number.then(|| digits.parse().ok()).flatten()?;
            Some((host, Some(port)))
        }
    }
}

/// Returns whether `host` is a name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').unwrap_or_default();
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !host.is_empty() && host.bytes().all(is_valid)
}

impl TryFrom<String> for TargetUrl {
    type Error = InvalidTargetUrl;

    fn try_from(text: String) -> Result<Self, InvalidTargetUrl> {
        Self::parse(&text)
    }
}

impl From<TargetUrl> for String {
    fn from(url: TargetUrl) -> Self {
        url.0
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidTargetUrl, TargetUrl};

    #[test]
    fn target_has_host_and_port() {
        for (text, host, port) in [
            (
                "https://hooks.example.com/in?team=a",
                "hooks.example.com",
                443,
            ),
            ("http://hooks.example.com", "hooks.example.com", 80),
            ("https://[2001:db8::1]:8443/x", "2001:db8::1", 8443),
            ("https://127.0.0.1:9/", "127.0.0.1", 9),
        ] {
            let url = TargetUrl::parse(text).unwrap();
            assert_eq!((url.host(), url.port()), (host, port), "{text}");
        }
    }

    #[test]
    fn path_of_target_begins_with_a_slash() {
        for (text, expected) in [
            ("https://host", "/"),
            ("https://host/in?team=a", "/in?team=a"),
            ("https://host?team=a", "/?team=a"),
        ] {
            assert_eq!(TargetUrl::parse(text).unwrap().path(), expected);
        }
    }

    #[test]
    fn target_that_is_no_plain_url_is_rejected() {
        for text in [
            "",
            "hooks.example.com",
            "/in",
            "https://",
            "https:///in",
            "https://a b/",
            "https://host:port/",
            "https://host:0/",
            "https://host:/",
            "https://höst/",
            "https://host\\@10.0.0.1/",
            "https://[::1/",
            "https://[::1]x/",
            "https://ho%73t/",
            "https://host/a\nb",
            "https://host:+1/",
            "https://host:65536/",
        ] {
            let error = TargetUrl::parse(text).unwrap_err();
            assert!(
                matches!(error, InvalidTargetUrl::Malformed(_)),
                "{text}: {error}"
            );
        }
        let error = |text: &str| TargetUrl::parse(text).unwrap_err();
        assert_eq!(
            error("ftp://host/"),
            InvalidTargetUrl::Scheme("ftp".to_owned())
        );
        assert_eq!(error("https://ada@host/"), InvalidTargetUrl::User);
        assert_eq!(error("https://host/#top"), InvalidTargetUrl::Fragment);
        let long = format!("https://host/{}", "a".repeat(2_048));
        assert_eq!(error(&long), InvalidTargetUrl::TooLong { actual: 2_061 });
    }
}
