//! Which of its two forms a content comes in, and is wanted in.

use axum::http::{HeaderMap, header};

/// The media type of a content by itself (RFC 9512).
pub(super) const YAML: &str = "application/yaml";

/// Whether a request brings JSON, YAML, or something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Yaml,
    Other,
}

/// The form of the body; without a content type it is no form that is known.
pub(super) fn of_body(headers: &HeaderMap) -> Form {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value.map_or(Form::Other, |value| {
        form(value.split(';').next().unwrap_or_default())
    })
}

/// Whether YAML is wanted rather than JSON (RFC 9110, 12.5.1).
pub(super) fn wants_yaml(headers: &HeaderMap) -> bool {
    let (mut yaml, mut json) = (0.0, 0.0);
    for range in headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
    {
        for range in range.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let form = form(parts.next().unwrap_or_default());
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
            let weight = weight.unwrap_or(1.0);
            match form {
                Form::Yaml => yaml = weight.max(yaml),
                Form::Json => json = weight.max(json),
                Form::Other => {}
            }
        }
    }
    yaml > json
}

fn form(media_type: &str) -> Form {
    match media_type.trim().to_ascii_lowercase().as_str() {
        "application/json" => Form::Json,
        YAML | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Form::Yaml,
        _ => Form::Other,
    }
}
