//! [`Validator`]: the check of a content against the schema and the rules of a type.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions};
use serde::Serialize;
use serde_json::Value as Json;

use super::error::ValidatorError;
use super::rule::{Budget, Rule, RuleOutcome};
use super::schema_cost;
use super::source::ValidatorSource;
use crate::content::{Location, TreeNode};

/// The maximum number of bytes of a schema.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// The maximum number of rules.
pub const MAX_RULES: usize = 50;
/// The maximum number of characters of the id or the message of a rule.
const MAX_RULE_TEXT: usize = 200;
/// The maximum number of violations in a report.
pub const MAX_VIOLATIONS: usize = 50;
/// The maximum number of characters of the message of a violation.
const MAX_MESSAGE: usize = 500;
/// The maximum number of bytes of a compiled regular expression.
const MAX_PATTERN: usize = 1 << 20;
/// The only supported version of JSON Schema.
const SCHEMA_VERSION: &str = "https://json-schema.org/draft/2020-12/schema";

/// A part of a content that breaks the schema or a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContentViolation {
    /// The number of the YAML document, from 1.
    pub document: usize,
    /// The JSON pointer to the value.
    pub pointer: String,
    /// The line of the value, from 1.
    pub line: usize,
    /// The column of the value, from 1.
    pub column: usize,
    /// The keyword of the schema, or the id of the rule.
    pub rule: String,
    /// The problem.
    pub message: String,
}

impl fmt::Display for ContentViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pointer,
            line,
            column,
            message,
            ..
        } = self;
        write!(f, "line {line}, column {column}, `{pointer}`: {message}")
    }
}

/// A compiled validator.
pub struct Validator {
    schema: Option<jsonschema::Validator>,
    rules: Vec<Rule>,
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules.iter().map(|rule| &rule.id);
        f.debug_list().entries(rules).finish()
    }
}

impl Validator {
    /// Compiles a validator.
    ///
    /// The cost of a validation is limited by the size of the content: a schema that can check a value too often is
    /// refused, and rules have a maximum number of steps.
    ///
    /// # Errors
    /// Returns a [`ValidatorError`] with the part that is not valid or too costly.
    pub fn compile(source: &ValidatorSource) -> Result<Self, ValidatorError> {
        if source.schema.is_none() && source.rules.is_empty() {
            return Err(ValidatorError::Empty);
        }
        if source.rules.len() > MAX_RULES {
            return Err(ValidatorError::TooLarge {
                what: "rules",
                limit: MAX_RULES,
            });
        }
        for rule in &source.rules {
            let is_long = |text: &str| text.chars().count() > MAX_RULE_TEXT;
            let pointer = rule.pointer.as_deref().unwrap_or_default();
            if is_long(&rule.id) || is_long(&rule.message) || is_long(pointer) {
                return Err(ValidatorError::TooLarge {
                    what: "characters in a rule",
                    limit: MAX_RULE_TEXT,
                });
            }
        }
        Ok(Self {
            schema: source.schema.as_ref().map(compile_schema).transpose()?,
            rules: source
                .rules
                .iter()
                .map(Rule::compile)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Returns the violations in the documents of a content, at most [`MAX_VIOLATIONS`].
    #[must_use]
    pub fn validate(&self, documents: &[TreeNode]) -> Vec<ContentViolation> {
        let mut violations = Vec::new();
        let budget = Budget::new();
        for (index, document) in documents.iter().enumerate() {
            let json = document.to_json();
            let mut report = Report {
                number: index + 1,
                document,
                violations: &mut violations,
            };
            if let Some(schema) = &self.schema {
                for error in schema.iter_errors(&json) {
                    report.schema_error(&error);
                }
            }
            for rule in &self.rules {
                report.check_rule(rule, &json, &budget);
            }
        }
        violations
    }
}

fn compile_schema(schema: &Json) -> Result<jsonschema::Validator, ValidatorError> {
    // The size is measured before any work.
    if schema.to_string().len() > MAX_SCHEMA_BYTES {
        return Err(ValidatorError::TooLarge {
            what: "bytes in the schema",
            limit: MAX_SCHEMA_BYTES,
        });
    }
    match schema
        .get("$schema")
        .map(|version| (version, version.as_str()))
    {
        None => {}
        Some((_, Some(text))) if text.trim_end_matches('#') == SCHEMA_VERSION => {}
        Some((version, _)) => {
            return Err(ValidatorError::Version {
                version: version.to_string().chars().take(80).collect(),
            });
        }
    }
    schema_cost::check(schema)?;
    let patterns = PatternOptions::regex()
        .size_limit(MAX_PATTERN)
        .dfa_size_limit(MAX_PATTERN);
    let compiled = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(patterns)
        .offline()
        .build(schema);
    compiled.map_err(|error| ValidatorError::Schema {
        pointer: error.instance_path().as_str().to_owned(),
        problem: shorten(&error.to_string()),
    })
}

/// The violations of one document.
struct Report<'r> {
    number: usize,
    document: &'r TreeNode,
    violations: &'r mut Vec<ContentViolation>,
}

impl Report<'_> {
    fn schema_error(&mut self, error: &jsonschema::ValidationError<'_>) {
        let pointer = error.instance_path().as_str();
        let keyword = error.kind().keyword();
        let unexpected = match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => &unexpected[..],
            _ => &[],
        };
        for key in unexpected {
            let pointer = format!("{pointer}/{}", escape(key));
            self.push(&pointer, keyword, "the key is not expected");
        }
        if unexpected.is_empty() {
            self.push(pointer, keyword, &shorten(&error.to_string()));
        }
    }

    fn check_rule(&mut self, rule: &Rule, json: &Json, budget: &Budget) {
        let mut targets = vec![(String::new(), json)];
        for step in &rule.target {
            targets = targets
                .into_iter()
                .flat_map(|(pointer, value)| children(&pointer, value, step))
                .collect();
        }
        for (pointer, value) in targets {
            if self.violations.len() >= MAX_VIOLATIONS {
                return;
            }
            match rule.evaluate(json, value, budget) {
                RuleOutcome::Holds => {}
                RuleOutcome::Broken => self.push(&pointer, &rule.id, &rule.message),
                RuleOutcome::Failed(problem) => {
                    let message = format!("{} (the rule failed: {problem})", rule.message);
                    self.push(&pointer, &rule.id, &message);
                }
            }
        }
    }

    fn push(&mut self, pointer: &str, rule: &str, message: &str) {
        if self.violations.len() < MAX_VIOLATIONS {
            let Location { line, column, .. } = self.location(pointer);
            self.violations.push(ContentViolation {
                document: self.number,
                pointer: pointer.chars().take(MAX_MESSAGE).collect(),
                line,
                column,
                rule: rule.to_owned(),
                message: shorten(message),
            });
        }
    }

    fn location(&self, pointer: &str) -> Location {
        let steps: Vec<String> = pointer
            .split('/')
            .skip(1)
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
            .collect();
        self.document.find(steps.iter().map(String::as_str)).0.at()
    }
}

/// Returns the parts of `value` that `step` leads to, with their pointers.
fn children<'v>(pointer: &str, value: &'v Json, step: &str) -> Vec<(String, &'v Json)> {
    let child = |step: &str, value: &'v Json| (format!("{pointer}/{}", escape(step)), value);
    match (value, step) {
        (Json::Array(items), "*") => {
            let items = items.iter().enumerate();
            items
                .map(|(index, item)| child(&index.to_string(), item))
                .collect()
        }
        (Json::Object(entries), "*") => entries
            .iter()
            .map(|(key, entry)| child(key, entry))
            .collect(),
        (Json::Array(items), step) => {
            let item = step.parse().ok().and_then(|index: usize| items.get(index));
            item.map(|item| child(step, item)).into_iter().collect()
        }
        (Json::Object(entries), step) => entries
            .get(step)
            .map(|entry| child(step, entry))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

/// Escapes a step of a JSON pointer (RFC 6901).
fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

fn shorten(text: &str) -> String {
    crate::content::shorten_to(MAX_MESSAGE, text)
}
