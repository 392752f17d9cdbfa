//! [`Conditions`]: the preconditions of a request (RFC 9110, section 13).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::header_value::invalid_header;
use super::problem::Problem;

/// An entity tag, such as `"3"` or `W/"3"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag {
    is_weak: bool,
    /// The opaque part, without the quotation marks.
    opaque: Vec<u8>,
}

impl EntityTag {
    /// Returns the tag of the JSON representation of a revision.
    pub fn json(revision: u64) -> Self {
        Self::strong(revision.to_string())
    }

    /// Returns the tag of the YAML representation of a revision.
    pub fn yaml(revision: u64) -> Self {
        Self::strong(format!("{revision}-yaml"))
    }

    /// Creates a tag that also matches in the strong comparison.
    ///
    /// `opaque` must be printable ASCII without `"`.
    pub fn strong(opaque: String) -> Self {
        Self {
            is_weak: false,
            opaque: opaque.into_bytes(),
        }
    }

    /// Returns the response header with this tag.
    pub fn header(&self) -> (HeaderName, String) {
        let opaque = String::from_utf8_lossy(&self.opaque);
        let weak = if self.is_weak { "W/" } else { "" };
        (header::ETAG, format!("{weak}\"{opaque}\""))
    }

    /// Returns the revision of the representation with this tag, in the strong comparison.
    fn revision(&self) -> Option<u64> {
        let opaque = std::str::from_utf8(&self.opaque).ok()?;
        let revision = opaque
            .strip_suffix("-yaml")
            .unwrap_or(opaque)
            .parse()
            .ok()?;
        // `"+1"` and `"01"` are other tags than `"1"`.
        (*self == Self::json(revision) || *self == Self::yaml(revision)).then_some(revision)
    }
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: any representation.
    Any,
    List(Vec<EntityTag>),
}

impl Tags {
    fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Problem> {
        let values: Vec<&[u8]> = headers
            .get_all(name)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        if values.is_empty() {
            return Ok(None);
        }
        // Several lines with one name are one list (RFC 9110, 5.3).
        let tags = Self::parse(&values.join(&b','));
        let tags = tags.ok_or_else(|| invalid_header(name, "`*` or a list of entity tags"))?;
        Ok(Some(tags))
    }

    /// Parses `*` or a list, in which empty elements are ignored (RFC 9110, 5.6.1.2).
    fn parse(value: &[u8]) -> Option<Self> {
        if value.trim_ascii() == b"*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        let mut rest = value;
        loop {
            rest = rest.trim_ascii_start();
            let Some(first) = rest.first() else { break };
            if *first == b',' {
                rest = &rest[1..];
                continue;
            }
            let (is_weak, quoted) = match rest.strip_prefix(b"W/") {
                Some(quoted) => (true, quoted),
                None => (false, rest),
            };
            let text = quoted.strip_prefix(b"\"")?;
            let end = text.iter().position(|byte| *byte == b'"')?;
            let opaque = &text[..end];
            if !opaque
                .iter()
                .all(|byte| matches!(byte, 0x21..=0x7e | 0x80..))
            {
                return None;
            }
            tags.push(EntityTag {
                is_weak,
                opaque: opaque.to_vec(),
            });
            rest = text[end + 1..].trim_ascii_start();
            if !rest.is_empty() && !rest.starts_with(b",") {
                return None;
            }
        }
        (!tags.is_empty()).then_some(Self::List(tags))
    }

    /// Returns whether one of `current` matches in the strong comparison (RFC 9110, 8.8.3.2).
    fn match_strong(&self, current: &[EntityTag]) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|tag| !tag.is_weak && current.contains(tag)),
        }
    }

    /// Returns whether one of `current` matches in the weak comparison.
    fn match_weak(&self, current: &[EntityTag]) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags
                .iter()
                .any(|tag| current.iter().any(|other| other.opaque == tag.opaque)),
        }
    }
}

/// The preconditions of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// The expected revision of a write.
#[derive(Debug, PartialEq, Eq)]
pub enum ExpectedRevision {
    /// The write has no condition.
    Any,
    /// The condition holds for this revision only.
    Exact(u64),
    /// The condition does not hold for any revision.
    None,
    /// The condition must be checked with [`Conditions::hold_for`].
    Compare,
}

impl Conditions {
    /// Checks the conditions of a read, in the order of RFC 9110, 13.2.2.
    ///
    /// `current` is the tag of the selected representation, if it has one. Returns the response that replaces the
    /// representation, if a condition does not hold.
    pub fn check_read(&self, current: Option<&EntityTag>) -> Result<Option<Response>, Problem> {
        let tags = current.map(std::slice::from_ref).unwrap_or_default();
        if self
            .if_match
            .as_ref()
            .is_some_and(|wanted| !wanted.match_strong(tags))
        {
            return Err(failed(&header::IF_MATCH));
        }
        if self
            .if_none_match
            .as_ref()
            .is_some_and(|known| known.match_weak(tags))
        {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            if let Some(tag) = current {
                response = ([tag.header()], response).into_response();
            }
            return Ok(Some(response));
        }
        Ok(None)
    }

    /// Checks the conditions of a creation, whose target is the list.
    pub fn check_creation(&self) -> Result<(), Problem> {
        if self
            .if_match
            .as_ref()
            .is_some_and(|wanted| !wanted.match_strong(&[]))
        {
            return Err(failed(&header::IF_MATCH));
        }
        if self.if_none_match == Some(Tags::Any) {
            return Err(failed(&header::IF_NONE_MATCH));
        }
        Ok(())
    }

    /// Returns the revision that a write requires.
    pub fn expected_revision(&self) -> ExpectedRevision {
        match (&self.if_match, &self.if_none_match) {
            (None | Some(Tags::Any), None) => ExpectedRevision::Any,
            (_, Some(Tags::Any)) => ExpectedRevision::None,
            (Some(Tags::List(tags)), None) => {
                let mut revisions = tags.iter().filter_map(EntityTag::revision);
                match (revisions.next(), revisions.next()) {
                    (None, _) => ExpectedRevision::None,
                    (Some(revision), None) => ExpectedRevision::Exact(revision),
                    (Some(_), Some(_)) => ExpectedRevision::Compare,
                }
            }
            (_, Some(Tags::List(_))) => ExpectedRevision::Compare,
        }
    }

    /// Returns whether the conditions of a write hold for `revision`.
    ///
    /// A specification has a JSON and a YAML representation, and a client can have either.
    pub fn hold_for(&self, revision: u64) -> bool {
        let tags = [EntityTag::json(revision), EntityTag::yaml(revision)];
        let is_match = self
            .if_match
            .as_ref()
            .is_none_or(|wanted| wanted.match_strong(&tags));
        is_match
            && self
                .if_none_match
                .as_ref()
                .is_none_or(|known| !known.match_weak(&tags))
    }
}

impl<S: Sync> FromRequestParts<S> for Conditions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self {
            if_match: Tags::read(&parts.headers, &header::IF_MATCH)?,
            if_none_match: Tags::read(&parts.headers, &header::IF_NONE_MATCH)?,
        })
    }
}

fn failed(name: &HeaderName) -> Problem {
    let detail = format!("precondition failed: {name} does not match; read the resource again");
    Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "precondition_failed",
        detail,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(is_weak: bool, opaque: &str) -> EntityTag {
        EntityTag {
            is_weak,
            ..EntityTag::strong(opaque.to_owned())
        }
    }

    #[test]
    fn entity_tags_follow_the_grammar() {
        for (value, expected) in [
            ("*", Some(Tags::Any)),
            ("\"\"", Some(Tags::List(vec![tag(false, "")]))),
            ("\"a,b\"", Some(Tags::List(vec![tag(false, "a,b")]))),
            (
                ",W/\"1\" , ,\"W/2\",",
                Some(Tags::List(vec![tag(true, "1"), tag(false, "W/2")])),
            ),
            ("", None),
            (" , ", None),
            ("1", None),
            ("w/\"1\"", None),
            ("W/ \"1\"", None),
            ("\"1", None),
            ("\"1\"2", None),
            ("\"1\" \"2\"", None),
            ("\"a b\"", None),
            ("*, \"1\"", None),
            ("\"1\", *", None),
        ] {
            assert_eq!(Tags::parse(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn write_conditions_select_a_revision() {
        use ExpectedRevision::{Any, Compare, Exact, None as Never};
        let tags =
            |value: &str| (!value.is_empty()).then(|| Tags::parse(value.as_bytes()).unwrap());
        for (if_match, if_none_match, expected) in [
            ("", "", Any),
            ("*", "", Any),
            ("\"7\"", "", Exact(7)),
            ("\"7-yaml\", W/\"8\"", "", Exact(7)),
            ("W/\"7\"", "", Never),
            ("\"+7\", \"07\", \"7-json\"", "", Never),
            ("\"7\", \"8\"", "", Compare),
            ("", "*", Never),
            ("*", "\"7\"", Compare),
        ] {
            let conditions = Conditions {
                if_match: tags(if_match),
                if_none_match: tags(if_none_match),
            };
            assert_eq!(
                conditions.expected_revision(),
                expected,
                "{if_match} {if_none_match}"
            );
        }
    }

    #[test]
    fn write_conditions_compare_both_representations() {
        let tags =
            |value: &str| (!value.is_empty()).then(|| Tags::parse(value.as_bytes()).unwrap());
        for (if_match, if_none_match, expected) in [
            ("\"7\", \"8\"", "", true),
            ("\"6\", \"8-yaml\"", "", true),
            ("\"6\", \"7\"", "", false),
            ("*", "\"7\"", true),
            ("*", "W/\"8\"", false),
            ("", "\"8-yaml\"", false),
        ] {
            let conditions = Conditions {
                if_match: tags(if_match),
                if_none_match: tags(if_none_match),
            };
            assert_eq!(
                conditions.hold_for(8),
                expected,
                "{if_match} {if_none_match}"
            );
        }
    }
}
