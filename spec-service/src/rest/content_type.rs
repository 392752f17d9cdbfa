//! The media types of request and response bodies.

use axum::http::{HeaderMap, StatusCode, header};

use super::header_value::single;
use super::problem::Problem;

/// The media type of YAML (RFC 9512).
pub const YAML: &str = "application/yaml";

/// The names of YAML: the registered one, and those that clients used before it.
const YAML_NAMES: [&str; 4] = [YAML, "application/x-yaml", "text/yaml", "text/x-yaml"];

const JSON_NAMES: [&str; 1] = ["application/json"];

/// A media type that the API distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    Json,
    Yaml,
    Other,
}

/// Returns the media type of the request body, or `Other` without a content type.
pub fn content_type(headers: &HeaderMap) -> Result<MediaType, Problem> {
    let value = single(headers, &header::CONTENT_TYPE)?.unwrap_or_default();
    let name = value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    Ok(match name.as_str() {
        name if JSON_NAMES.contains(&name) => MediaType::Json,
        name if YAML_NAMES.contains(&name) => MediaType::Yaml,
        _ => MediaType::Other,
    })
}

/// Returns whether the client prefers YAML to JSON (RFC 9110, 12.5.1).
///
/// Without a preference, the response is JSON.
///
/// # Errors
/// Returns a 406 problem if the client accepts neither.
pub fn prefers_yaml(headers: &HeaderMap) -> Result<bool, Problem> {
    let accept = headers.get_all(header::ACCEPT).iter();
    let accept = accept
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let ranges: Vec<MediaRange> = accept.filter_map(MediaRange::parse).collect();
    if ranges.is_empty() {
        return Ok(false);
    }
    let (yaml, json) = (
        preference(&ranges, &YAML_NAMES),
        preference(&ranges, &JSON_NAMES),
    );
    if yaml.weight == 0 && json.weight == 0 {
        let detail = format!("no acceptable media type; accept application/json or {YAML}");
        return Err(Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            "not_acceptable",
            detail,
        ));
    }
    Ok(yaml > json)
}

/// A range of media types with its weight, an element of `Accept`.
#[derive(Debug, PartialEq, Eq)]
struct MediaRange {
    /// In lower case.
    name: String,
    /// The weight in thousandths.
    weight: u16,
}

/// The preference of a client for a media type.
///
/// With equal weights, an explicit name is preferred to a wildcard.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Preference {
    weight: u16,
    specificity: u8,
}

/// Returns the preference for a media type with several names. The most specific range counts.
fn preference(ranges: &[MediaRange], names: &[&str]) -> Preference {
    let matching = ranges.iter().filter_map(|range| {
        let specificity = match range.name.as_str() {
            "*/*" => 1,
            "application/*" => 2,
            name if names.contains(&name) => 3,
            _ => return None,
        };
        Some((specificity, range.weight))
    });
    let best = matching.max().unwrap_or_default();
    Preference {
        weight: best.1,
        specificity: best.0,
    }
}

impl MediaRange {
    /// Parses an element of `Accept`. Malformed elements are ignored.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let (kind, subtype) = name.split_once('/')?;
        if kind.is_empty() || subtype.is_empty() || (kind == "*" && subtype != "*") {
            return None;
        }
        let weight = parts.find_map(|part| {
            let (key, value) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case("q").then_some(value.trim())
        });
        let weight = weight.map_or(Some(1_000), weight_in_thousandths)?;
        Some(Self { name, weight })
    }
}

/// Parses a weight, a number from 0 to 1 with at most three decimals (RFC 9110, 12.4.2).
fn weight_in_thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", _) => Some(thousandths),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the preferred type of an `Accept` header: `yaml`, `json` or `none`.
    fn preferred(accept: &[&str]) -> &'static str {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        match prefers_yaml(&headers) {
            Ok(true) => "yaml",
            Ok(false) => "json",
            Err(_) => "none",
        }
    }

    #[test]
    fn accept_header_selects_by_weight() {
        for (accept, expected) in [
            ("", "json"),
            ("*/*", "json"),
            ("application/*", "json"),
            ("application/yaml", "yaml"),
            ("APPLICATION/YAML", "yaml"),
            ("text/x-yaml", "yaml"),
            ("application/yaml, application/json", "json"),
            ("application/yaml, */*", "yaml"),
            ("application/yaml, */*;q=0.8", "yaml"),
            ("application/yaml;q=0.1, application/json", "json"),
            ("application/yaml;q=0.5, application/json;Q=0.4", "yaml"),
            ("application/yaml;q=0.001, application/json;q=0", "yaml"),
            ("application/json;q=0, */*", "yaml"),
            ("application/yaml;q=0, */*", "json"),
            ("application/json;q=0.2, application/*;q=0.9", "yaml"),
            ("*/*;q=0.9, application/json;q=0.2", "yaml"),
            ("text/yaml;q=0, application/yaml", "yaml"),
            ("text/html, application/xhtml+xml, */*;q=0.8", "json"),
            ("application/yaml; q = 1.0", "yaml"),
            ("application/yaml;q=2, application/json;q=0.1", "json"),
            ("application/yaml;q=x", "json"),
            ("application/json;q=0", "none"),
            ("*/*;q=0", "none"),
            ("text/html", "none"),
        ] {
            assert_eq!(preferred(&[accept]), expected, "{accept}");
        }
        assert_eq!(
            preferred(&["application/json;q=0.1", "application/yaml"]),
            "yaml"
        );
    }
}
