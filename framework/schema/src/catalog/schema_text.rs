//! The text of a JSON schema in a catalog: the type of a value, and the table of the fields.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Returns the type of the values of a schema, in a few words of Markdown.
pub fn schema_type(schema: &Value) -> String {
    let Value::Object(keys) = schema else {
        return "anything".to_owned();
    };
    if let Some(name) = keys.get("$ref").and_then(referenced_name) {
        return format!("[{name}](#{})", anchor(name));
    }
    if let Some(literal) = keys.get("const") {
        return format!("`{literal}`");
    }
    if let Some(Value::Array(literals)) = keys.get("enum") {
        return join_alternatives(literals.iter().map(|literal| format!("`{literal}`")));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(alternatives)) = keys.get(key) {
            return join_alternatives(alternatives.iter().map(schema_type));
        }
    }
    match keys.get("type") {
        Some(Value::String(json_type)) => typed(json_type, keys),
        Some(Value::Array(json_types)) => {
            let json_types = json_types.iter().filter_map(Value::as_str);
            join_alternatives(json_types.map(|json_type| typed(json_type, keys)))
        }
        _ => "anything".to_owned(),
    }
}

fn typed(json_type: &str, keys: &Map<String, Value>) -> String {
    match (json_type, keys.get("format").and_then(Value::as_str)) {
        ("array", _) => list(keys),
        ("object", _) => match keys.get("additionalProperties") {
            Some(values @ Value::Object(_)) => format!("map to {}", schema_type(values)),
            _ => unnamed_object(keys),
        },
        ("null", _) => "null".to_owned(),
        (_, Some(format)) => format!("{json_type} ({format})"),
        _ => json_type.to_owned(),
    }
}

/// Returns the fields of an object whose type has no name.
fn unnamed_object(keys: &Map<String, Value>) -> String {
    let Some(Value::Object(properties)) = keys.get("properties") else {
        return "object".to_owned();
    };
    let mut fields: Vec<_> = properties.iter().collect();
    fields.sort_by_key(|(name, _)| *name);
    let fields = fields
        .into_iter()
        .map(|(name, schema)| format!("`{name}`: {}", schema_type(schema)));
    format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
}

fn list(keys: &Map<String, Value>) -> String {
    match (keys.get("prefixItems"), keys.get("items")) {
        (Some(Value::Array(items)), _) => {
            let items: Vec<_> = items.iter().map(schema_type).collect();
            format!("({})", items.join(", "))
        }
        (_, Some(items)) => format!("list of {}", schema_type(items)),
        _ => "list".to_owned(),
    }
}

fn join_alternatives(alternatives: impl Iterator<Item = String>) -> String {
    let alternatives: Vec<_> = alternatives.collect();
    alternatives.join(" or ")
}

fn referenced_name(reference: &Value) -> Option<&str> {
    reference.as_str()?.rsplit('/').next()
}

/// Returns the anchor that GitHub and mdBook generate for a heading.
pub fn anchor(heading: &str) -> String {
    let kept = heading.chars();
    let kept = kept.filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Returns the table of the fields of an object, or a sentence if the schema has no fields.
///
/// Required fields come first, in the order of their declaration.
pub fn fields_table(schema: &Value) -> String {
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return match schema_type(schema).as_str() {
            "object" => "No fields.\n".to_owned(),
            other => format!("Value: {other}.\n"),
        };
    };
    let required: Vec<&str> = match schema.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let optional: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
    let optional = optional.into_iter().filter(|name| !required.contains(name));
    let mut table = "| field | type | description |\n|---|---|---|\n".to_owned();
    for (name, note) in required
        .iter()
        .map(|name| (*name, ""))
        .chain(optional.map(|name| (name, "; may be absent")))
    {
        let schema = &properties[name];
        let field_type = table_cell(&schema_type(schema));
        let doc = table_cell(&description(schema));
        let _ = writeln!(table, "| `{name}` | {field_type}{note} | {doc} |");
    }
    table
}

pub fn description(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str);
    description_of(text.unwrap_or_default())
}

/// Returns the text of a documentation comment before its first heading, without links to Rust items.
///
/// Sections such as `# Examples` are for readers of the code, and their headings would divide the page.
pub fn description_of(doc: &str) -> String {
    let mut is_code = false;
    let is_text = |line: &&str| {
        is_code ^= line.trim_start().starts_with("```");
        let is_heading = line.trim_start_matches('#').starts_with(' ') && line.starts_with('#');
        is_code || !is_heading
    };
    let lines: Vec<&str> = doc.lines().take_while(is_text).collect();
    without_item_links(lines.join("\n").trim_end())
}

/// Replaces links to Rust items with the names of the items.
///
/// Examples are ``[`Door`]`` and ``[`Door`](crate::Door)``. Such links have no target outside rustdoc.
fn without_item_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[`") {
        plain.push_str(before);
        let Some((code, after_code)) = after.split_once("`]") else {
            plain.push_str("[`");
            rest = after;
            continue;
        };
        let target = after_code
            .strip_prefix('(')
            .and_then(|target| target.split_once(')'));
        rest = match target {
            Some((target, after_link)) if target.contains("://") => {
                let _ = write!(plain, "[`{code}`]({target})");
                after_link
            }
            target => {
                let _ = write!(plain, "`{code}`");
                target.map_or(after_code, |(_, after_link)| after_link)
            }
        };
    }
    plain.push_str(rest);
    plain
}

/// Returns a text for the cell of a table, in one line and with escaped bars.
pub fn table_cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

/// Returns names separated by commas, each formatted as code.
pub fn code_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names
        .into_iter()
        .map(|name| format!("`{}`", table_cell(name)))
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{description_of, without_item_links};

    #[test]
    fn description_ends_at_the_first_heading() {
        let doc = "A door.\n\n```text\n# a line\n```\n\nSee [`Key`].\n\n# Examples\n\n```\nlet a = 1;\n```";
        let expected = "A door.\n\n```text\n# a line\n```\n\nSee `Key`.";
        assert_eq!(description_of(doc), expected);
        assert_eq!(description_of("Number #1 of #many"), "Number #1 of #many");
    }

    #[test]
    fn item_link_is_replaced_by_item_name() {
        assert_eq!(without_item_links("see [`Door`]."), "see `Door`.");
        assert_eq!(
            without_item_links("[`Door`](crate::Door), [`Key`]"),
            "`Door`, `Key`"
        );
    }

    #[test]
    fn external_link_is_kept() {
        let text = "[`RFC`](https://example.org/1) and a list[`";
        assert_eq!(without_item_links(text), text);
        assert_eq!(
            without_item_links("[a chapter](chapter.md)"),
            "[a chapter](chapter.md)"
        );
    }
}
