//! Markdown that is not rendered, or not as the author meant it.

use crate::html::Page;

/// Signs of Markdown in a rendered text.
const MARKDOWN: [&str; 9] = ["](", "][", "**", "`", "~~~", "|--", "{{", "<!--", "[ ]"];

/// The languages that the highlighter of mdBook, or the page, knows.
const LANGUAGES: [&str; 12] = [
    "console", "go", "json", "mermaid", "python", "rs", "rust", "sh", "sql", "text", "toml", "ts",
];

/// The number of characters of a line of code that fit beside the table of contents.
const MAX_CODE_LINE: usize = 110;

/// Returns the problems of the texts, images and blocks of code of `page`.
pub fn problems(page: &Page) -> Vec<String> {
    let path = &page.path;
    let mut problems = Vec::new();
    for text in &page.texts {
        if let Some(sign) = MARKDOWN.iter().find(|sign| text.contains(**sign)) {
            let text = text.trim();
            problems.push(format!(
                "{path}: Markdown is not rendered, {sign:?} in: {text:?}"
            ));
        }
    }
    for source in &page.images_without_text {
        problems.push(format!("{path}: image without a description: {source:?}"));
    }
    for block in &page.code {
        let first = block.text.lines().next().unwrap_or_default();
        match &block.language {
            None => problems.push(format!(
                "{path}: block of code without a language: {first:?}"
            )),
            Some(language) if !LANGUAGES.contains(&&**language) => {
                problems.push(format!("{path}: unknown language of code: {language:?}"));
            }
            Some(_) => {}
        }
        let is_program = matches!(block.language.as_deref(), Some("rust" | "rs"));
        for line in block.text.lines().filter(|_| is_program) {
            let length = line.chars().count();
            if length > MAX_CODE_LINE {
                problems.push(format!(
                    "{path}: a line of code has {length} characters; at most {MAX_CODE_LINE} fit: {line:?}"
                ));
            }
        }
    }
    problems
}

/// Returns the problems of the headings of `page`.
pub fn outline_problems(page: &Page) -> Vec<String> {
    let (path, headings) = (&page.path, &page.headings);
    let mut problems = Vec::new();
    let titles = headings.iter().filter(|level| **level == 1).count();
    if titles != 1 || headings.first() != Some(&1) {
        problems.push(format!(
            "{path}: expected one title, at the top; found {titles}"
        ));
    }
    for pair in headings.windows(2) {
        if let [before, level] = pair
            && *level > before + 1
        {
            problems.push(format!(
                "{path}: a heading of level {level} follows one of level {before}"
            ));
        }
    }
    problems
}

/// Returns the rows of tables in `markdown` that have more or fewer cells than the head.
///
/// A renderer drops further cells without a message. A `|` begins a cell in code, too, unless it is `\|`.
pub fn table_problems(path: &str, markdown: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let (mut is_code, mut cells) = (false, None);
    for line in markdown.lines() {
        is_code ^= line.starts_with("```");
        if is_code || !line.starts_with('|') {
            cells = None;
            continue;
        }
        let count = line.replace("\\|", "").matches('|').count() - 1;
        let expected = *cells.get_or_insert(count);
        if count != expected {
            problems.push(format!(
                "{path}: a row has {count} cells, the head of its table {expected}: {line:?}"
            ));
        }
    }
    problems
}
