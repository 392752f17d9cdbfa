//! [`Page`]: the parts of an HTML file that are checked.

use std::cell::RefCell;
use std::collections::BTreeSet;

use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

/// The elements that do not interrupt a sentence.
const INLINE: [&str; 13] = [
    "a", "b", "br", "code", "del", "em", "i", "img", "kbd", "span", "strong", "sub", "sup",
];

/// The elements whose content is not prose.
const NOT_PROSE: [&str; 6] = ["code", "kbd", "pre", "script", "style", "svg"];

/// The parts of an HTML file that are checked.
#[derive(Debug, Default)]
pub struct Page {
    /// The path, relative to the book.
    pub path: String,
    /// The anchors.
    pub ids: BTreeSet<String>,
    /// The targets of links, images, scripts and styles, in the whole file.
    pub targets: BTreeSet<String>,
    /// The sources of images without a description.
    pub images_without_text: Vec<String>,
    /// The first line and the language of each block of code.
    pub code: Vec<CodeBlock>,
    /// The levels of the headings.
    pub headings: Vec<u8>,
    /// The paragraphs, headings, cells and items, without code.
    pub texts: Vec<String>,
}

/// A block of code.
#[derive(Debug, Default)]
pub struct CodeBlock {
    /// The language, if the block has one.
    pub language: Option<String>,
    /// The code.
    pub text: String,
}

impl Page {
    /// Reads the file `path` with the content `html`.
    pub fn read(path: &str, html: &str) -> Self {
        let reader = Reader {
            page: Self {
                path: path.to_owned(),
                ..Self::default()
            },
            ..Reader::default()
        };
        let input = BufferQueue::default();
        input.push_back(html.into());
        let tokenizer = Tokenizer::new(Sink(RefCell::new(reader)), TokenizerOpts::default());
        // The parser stops only for scripts, and the sink requests no stop.
        let _ = tokenizer.feed(&input);
        tokenizer.end();
        let mut reader = tokenizer.sink.0.into_inner();
        reader.end_text();
        reader.page
    }
}

#[derive(Default)]
struct Reader {
    page: Page,
    text: String,
    in_main: bool,
    in_pre: bool,
    /// The number of open elements whose content is not prose.
    not_prose: usize,
}

struct Sink(RefCell<Reader>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut reader = self.0.borrow_mut();
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                reader.start(&tag);
                match &*tag.name {
                    "script" => return TokenSinkResult::RawData(RawKind::ScriptData),
                    "style" => return TokenSinkResult::RawData(RawKind::Rawtext),
                    _ => {}
                }
            }
            Token::TagToken(tag) => reader.end(&tag.name),
            Token::CharacterTokens(text) => reader.text(&text),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl Reader {
    fn start(&mut self, tag: &Tag) {
        let name = &*tag.name;
        let attribute = |name: &str| {
            let mut attributes = tag.attrs.iter();
            let found = attributes.find(|it| &*it.name.local == name)?;
            Some(found.value.to_string())
        };
        self.page.targets.extend(attribute("href"));
        self.page.targets.extend(attribute("src"));
        self.in_main |= name == "main";
        if !self.in_main {
            return;
        }
        self.page.ids.extend(attribute("id"));
        if NOT_PROSE.contains(&name) && !tag.self_closing {
            self.not_prose += 1;
        }
        if !INLINE.contains(&name) {
            self.end_text();
        }
        match name {
            "pre" => self.in_pre = true,
            "code" if self.in_pre => {
                let classes = attribute("class").unwrap_or_default();
                let language = classes
                    .split_whitespace()
                    .find_map(|class| class.strip_prefix("language-"));
                self.page.code.push(CodeBlock {
                    language: language.map(str::to_owned),
                    text: String::new(),
                });
            }
            "img" if attribute("alt").is_none_or(|text| text.trim().is_empty()) => {
                let source = attribute("src").unwrap_or_default();
                self.page.images_without_text.push(source);
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.page.headings.push(name.as_bytes()[1] - b'0');
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        if !self.in_main {
            return;
        }
        if NOT_PROSE.contains(&name) {
            self.not_prose = self.not_prose.saturating_sub(1);
        }
        if !INLINE.contains(&name) {
            self.end_text();
        }
        match name {
            "pre" => self.in_pre = false,
            "main" => self.in_main = false,
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if !self.in_main {
            return;
        }
        match self.page.code.last_mut() {
            Some(block) if self.in_pre => block.text.push_str(text),
            _ if self.not_prose == 0 => self.text.push_str(text),
            _ => {}
        }
    }

    fn end_text(&mut self) {
        let text = std::mem::take(&mut self.text);
        if !text.trim().is_empty() {
            self.page.texts.push(text);
        }
    }
}
