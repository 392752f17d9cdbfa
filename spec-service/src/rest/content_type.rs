//! The media types of request and response bodies.

use axum::http::{HeaderMap, header};

/// The media type of YAML (RFC 9512).
pub const YAML: &str = "application/yaml";

/// A media type that the API distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    Json,
    Yaml,
    Other,
}

/// Returns the media type of the request body, or `Other` without a content type.
pub fn content_type(headers: &HeaderMap) -> MediaType {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value.map_or(MediaType::Other, |value| {
        media_type(value.split(';').next().unwrap_or_default())
    })
}

/// Returns whether the `Accept` header prefers YAML to JSON (RFC 9110, 12.5.1).
pub fn wants_yaml(headers: &HeaderMap) -> bool {
    let (mut yaml, mut json) = (0.0, 0.0);
    for range in headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
    {
        for range in range.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media_type = media_type(parts.next().unwrap_or_default());
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
            let weight = weight.unwrap_or(1.0);
            match media_type {
                MediaType::Yaml => yaml = weight.max(yaml),
                MediaType::Json => json = weight.max(json),
                MediaType::Other => {}
            }
        }
    }
    yaml > json
}

fn media_type(text: &str) -> MediaType {
    match text.trim().to_ascii_lowercase().as_str() {
        "application/json" => MediaType::Json,
        YAML | "application/x-yaml" | "text/yaml" | "text/x-yaml" => MediaType::Yaml,
        _ => MediaType::Other,
    }
}
