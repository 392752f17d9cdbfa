//! [`Format`]: the formats of a report, written record by record.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::app::{AuditRecord, AuditReport};

/// The format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
    Html,
}

const STYLE: &str = "body{font:13px/1.4 system-ui,sans-serif;margin:2em}\
table{border-collapse:collapse;width:100%}\
th,td{border:1px solid #bbb;padding:.25em .4em;text-align:left;vertical-align:top;overflow-wrap:anywhere}\
code{font-size:11px}thead{display:table-header-group}tr{break-inside:avoid}\
@media print{body{margin:0;font-size:9px}@page{size:A4 landscape;margin:12mm}}";

impl Format {
    /// Reads the parameter `format`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            "html" => Some(Self::Html),
            _ => None,
        }
    }

    /// Returns the media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    /// Returns the text before the first record.
    pub fn head(self, report: &AuditReport) -> String {
        let criteria = criteria(report);
        match self {
            Self::Json => format!("{{\"report\":{},\"records\":[", Value::Object(criteria)),
            Self::Csv => csv_row(AuditRecord::NAMES.iter().copied().chain(["hash"])),
            Self::Html => html_head(&criteria),
        }
    }

    /// Returns the text of a record. `is_first` says whether none came before.
    pub fn record(self, record: &AuditRecord, is_first: bool) -> String {
        let fields = record.fields.iter().map(String::as_str);
        let cells = fields.chain([record.hash.as_str()]);
        match self {
            Self::Json => {
                let names = AuditRecord::NAMES.into_iter().chain(["hash"]);
                let object: Map<String, Value> = names
                    .zip(cells)
                    .map(|(name, cell)| (name.to_owned(), cell.into()))
                    .collect();
                let comma = if is_first { "\n" } else { ",\n" };
                format!("{comma}{}", Value::Object(object))
            }
            Self::Csv => csv_row(cells),
            Self::Html => {
                let mut row = String::from("<tr>");
                for cell in cells {
                    let _ = write!(row, "<td>{}</td>", escaped(cell));
                }
                row.push_str("</tr>\n");
                row
            }
        }
    }

    /// Returns the text after the last record. A report without it is incomplete.
    pub fn tail(self, report: &AuditReport) -> String {
        let (count, hash) = (report.chain().count(), report.chain().last());
        match self {
            Self::Json => format!("\n],\"count\":{count},\"last_hash\":\"{hash}\"}}\n"),
            Self::Csv => {
                let count = count.to_string();
                let empty = std::iter::repeat_n("", AuditRecord::NAMES.len() - 2);
                csv_row(
                    ["end", count.as_str()]
                        .into_iter()
                        .chain(empty)
                        .chain([hash]),
                )
            }
            Self::Html => format!(
                "</tbody></table><p>End of the report: {count} records. Last hash: <code>{hash}</code></p></html>\n"
            ),
        }
    }
}

/// Returns the criteria of a report, without the ones that are not set.
fn criteria(report: &AuditReport) -> Map<String, Value> {
    let query = report.query();
    let criteria = [
        ("from", query.from.map(|from| from.to_string())),
        ("to", query.to.map(|to| to.to_string())),
        ("actor", query.actor.clone()),
        (
            "namespace",
            query.namespace.as_ref().map(ToString::to_string),
        ),
        ("spec", query.spec.map(|spec| spec.to_string())),
    ];
    let mut all: Map<String, Value> = criteria
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
        .collect();
    all.insert("head".to_owned(), json!(report.head().get()));
    all
}

fn html_head(criteria: &Map<String, Value>) -> String {
    let mut head = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Audit report</title><style>{STYLE}</style>\
         <h1>Audit report</h1><p>"
    );
    for (name, value) in criteria {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let _ = write!(head, "{name}: <b>{}</b> ", escaped(&value));
    }
    head.push_str("</p><table><thead><tr>");
    for name in AuditRecord::NAMES.into_iter().chain(["hash"]) {
        let _ = write!(head, "<th>{name}</th>");
    }
    head.push_str("</tr></thead><tbody>\n");
    head
}

/// Returns a row of CSV (RFC 4180).
fn csv_row<'c>(cells: impl Iterator<Item = &'c str>) -> String {
    let cells: Vec<String> = cells.map(csv_cell).collect();
    format!("{}\r\n", cells.join(","))
}

/// Returns a cell that no program takes for a formula.
///
/// A cell that begins like a formula gets an apostrophe before it, and so does one that begins with an apostrophe. A
/// reader removes one apostrophe from the start of each cell.
fn csv_cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\'', '|', '%']);
    let apostrophe = if is_formula { "'" } else { "" };
    format!("\"{apostrophe}{}\"", text.replace('"', "\"\""))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{csv_cell, escaped};

    #[test]
    fn csv_cells_are_quoted_and_no_formulas() {
        for (text, expected) in [
            ("ada", "\"ada\""),
            ("a \"b\", c", "\"a \"\"b\"\", c\""),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
            ("@sum", "\"'@sum\""),
            ("'ada", "\"''ada\""),
            ("", "\"\""),
        ] {
            assert_eq!(csv_cell(text), expected);
        }
    }

    #[test]
    fn html_is_escaped() {
        assert_eq!(escaped("<a href='x'>&"), "&lt;a href=&#39;x&#39;&gt;&amp;");
    }
}
