//! The words for a schema: what a field holds, and the table of the fields.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// What a value of this schema is, in a few words of Markdown.
pub fn words(schema: &Value) -> String {
    let Value::Object(keys) = schema else {
        return "anything".to_owned();
    };
    if let Some(name) = keys.get("$ref").and_then(reference) {
        return format!("[{name}](#{})", anchor(name));
    }
    if let Some(literal) = keys.get("const") {
        return format!("`{literal}`");
    }
    if let Some(Value::Array(literals)) = keys.get("enum") {
        return joined(literals.iter().map(|literal| format!("`{literal}`")));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(alternatives)) = keys.get(key) {
            return joined(alternatives.iter().map(words));
        }
    }
    match keys.get("type") {
        Some(Value::String(kind)) => of_kind(kind, keys),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str);
            joined(kinds.map(|kind| of_kind(kind, keys)))
        }
        _ => "anything".to_owned(),
    }
}

fn of_kind(kind: &str, keys: &Map<String, Value>) -> String {
    match (kind, keys.get("format").and_then(Value::as_str)) {
        ("array", _) => list(keys),
        ("object", _) => match keys.get("additionalProperties") {
            Some(values @ Value::Object(_)) => format!("map to {}", words(values)),
            _ => parts(keys),
        },
        ("null", _) => "null".to_owned(),
        (_, Some(format)) => format!("{kind} ({format})"),
        _ => kind.to_owned(),
    }
}

/// The fields of an object that has no name of its own.
fn parts(keys: &Map<String, Value>) -> String {
    let Some(Value::Object(properties)) = keys.get("properties") else {
        return "object".to_owned();
    };
    let mut parts: Vec<_> = properties.iter().collect();
    parts.sort_by_key(|(name, _)| *name);
    let parts = parts
        .into_iter()
        .map(|(name, schema)| format!("`{name}`: {}", words(schema)));
    format!("{{ {} }}", parts.collect::<Vec<_>>().join(", "))
}

fn list(keys: &Map<String, Value>) -> String {
    match (keys.get("prefixItems"), keys.get("items")) {
        (Some(Value::Array(items)), _) => {
            let items: Vec<_> = items.iter().map(words).collect();
            format!("({})", items.join(", "))
        }
        (_, Some(items)) => format!("list of {}", words(items)),
        _ => "list".to_owned(),
    }
}

fn joined(alternatives: impl Iterator<Item = String>) -> String {
    let alternatives: Vec<_> = alternatives.collect();
    alternatives.join(" or ")
}

fn reference(reference: &Value) -> Option<&str> {
    reference.as_str()?.rsplit('/').next()
}

/// The anchor that GitHub and mdBook make of a heading.
pub fn anchor(heading: &str) -> String {
    let kept = heading.chars();
    let kept = kept.filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The fields of an object, always-written ones first, in the order of their declaration; or, where there are
/// none, what it is.
pub fn fields(schema: &Value) -> String {
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return match words(schema).as_str() {
            "object" => "No fields.\n".to_owned(),
            words => format!("A value: {words}.\n"),
        };
    };
    let required: Vec<&str> = match schema.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let optional: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
    let optional = optional.into_iter().filter(|name| !required.contains(name));
    let mut table = "| field | holds | |\n|---|---|---|\n".to_owned();
    for (name, maybe) in required
        .iter()
        .map(|name| (*name, ""))
        .chain(optional.map(|name| (name, "; may be absent")))
    {
        let schema = &properties[name];
        let (holds, doc) = (cell(&words(schema)), cell(&description(schema)));
        let _ = writeln!(table, "| `{name}` | {holds}{maybe} | {doc} |");
    }
    table
}

pub fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str);
    plain(text.unwrap_or_default())
}

/// A documentation comment for people: what leads to an item of the code, ``[`Door`]`` or ``[`Door`](crate::Door)``,
/// leads nowhere here, and is `Door`.
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("[`") {
        plain.push_str(before);
        let Some((code, after)) = behind.split_once("`]") else {
            plain.push_str("[`");
            rest = behind;
            continue;
        };
        let target = after.strip_prefix('(').and_then(|it| it.split_once(')'));
        rest = match target {
            Some((target, after)) if target.contains("://") => {
                let _ = write!(plain, "[`{code}`]({target})");
                after
            }
            target => {
                let _ = write!(plain, "`{code}`");
                target.map_or(after, |(_, after)| after)
            }
        };
    }
    plain.push_str(rest);
    plain
}

/// A text for a cell of a table: one line, and no bars.
pub fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

/// `a`, `b`, each as code.
pub fn codes<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names
        .into_iter()
        .map(|name| format!("`{}`", cell(name)))
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_leads_to_an_item_of_the_code_is_its_name() {
        assert_eq!(plain("see [`Door`]."), "see `Door`.");
        assert_eq!(plain("[`Door`](crate::Door), [`Key`]"), "`Door`, `Key`");
    }

    #[test]
    fn what_leads_elsewhere_stays() {
        let text = "[`RFC`](https://example.org/1) and a list[`";
        assert_eq!(plain(text), text);
        assert_eq!(plain("[a chapter](chapter.md)"), "[a chapter](chapter.md)");
    }
}
