//! [`fts5`] and [`tsquery`]: a query in the language of each database.
//!
//! Both quote every word, and a word has letters and digits only, so no text of a caller can end a quotation.

use super::fields::Tier;
use super::query::{Term, TextQuery};

/// The columns of the FTS5 table with text.
const ALL_COLUMNS: &str = "{name description labels content comments}";

/// Returns the FTS5 expression that matches the specifications in `tier`, or in any tier.
///
/// See <https://www.sqlite.org/fts5.html#full_text_query_syntax>.
pub fn fts5(query: &TextQuery, tokens: &[String], tier: Option<Tier>) -> String {
    let filters = tokens.iter().map(|token| format!("\"{token}\""));
    let filters = format!("{{filters}} : ({})", join(filters, " AND "));
    if query.is_empty() {
        return filters;
    }
    let required = join(query.required.iter().map(fts5_term), " AND ");
    let columns = |tier| match tier {
        Tier::Name => "{name}",
        Tier::Head => "{name description labels}",
        Tier::Text => ALL_COLUMNS,
    };
    let mut matched = format!(
        "({} : ({required})) AND ({filters})",
        columns(tier.unwrap_or(Tier::Text))
    );
    if let Some(better) = tier.and_then(Tier::better) {
        matched = format!("({matched}) NOT ({} : ({required}))", columns(better));
    }
    if !query.excluded.is_empty() {
        let excluded = join(query.excluded.iter().map(fts5_term), " OR ");
        matched = format!("({matched}) NOT ({ALL_COLUMNS} : ({excluded}))");
    }
    matched
}

fn fts5_term(term: &Term) -> String {
    let star = if term.is_prefix { " *" } else { "" };
    format!("\"{}\"{star}", term.words.join(" "))
}

/// Returns the PostgreSQL `tsquery` that matches the specifications in `tier`, or in any tier.
///
/// See <https://www.postgresql.org/docs/current/datatype-textsearch.html#DATATYPE-TSQUERY>.
pub fn tsquery(query: &TextQuery, tokens: &[String], tier: Option<Tier>) -> String {
    let filters = tokens.iter().map(|token| format!("'f{token}'"));
    let mut parts = vec![join(filters, " & ")];
    if !query.is_empty() {
        let required = |tier| {
            join(
                query.required.iter().map(|term| tsquery_term(term, tier)),
                " & ",
            )
        };
        parts.push(required(tier.unwrap_or(Tier::Text)));
        let better = tier.and_then(Tier::better);
        parts.extend(better.map(|better| format!("!({})", required(better))));
        let excluded = query.excluded.iter();
        parts.extend(excluded.map(|term| format!("!({})", tsquery_term(term, Tier::Text))));
    }
    parts.join(" & ")
}

fn tsquery_term(term: &Term, tier: Tier) -> String {
    let star = if term.is_prefix { ":*" } else { "" };
    let words = term
        .words
        .iter()
        .map(|word| format!("'{}{word}'", tier.digit()));
    format!("({}{star})", join(words, " <-> "))
}

fn join(parts: impl Iterator<Item = String>, separator: &str) -> String {
    parts.collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_is_quoted_for_both_databases() {
        let query: TextQuery = "Refund-limit max* -\"per day\" -x".parse().unwrap();
        let tokens = ["0a".to_owned()];
        let token = &tokens[0];
        let columns = "{name description labels content comments}";
        assert_eq!(
            fts5(&query, &tokens, Some(Tier::Name)),
            format!(
                "(({{name}} : (\"refund limit\" AND \"max\" *)) AND ({{filters}} : (\"{token}\"))) \
                 NOT ({columns} : (\"per day\" OR \"x\"))"
            ),
        );
        assert_eq!(
            tsquery(&query, &tokens, Some(Tier::Head)),
            format!(
                "'f{token}' & ('2refund' <-> '2limit') & ('2max':*) \
                 & !(('1refund' <-> '1limit') & ('1max':*)) & !(('3per' <-> '3day')) & !(('3x'))"
            ),
        );
    }
}
