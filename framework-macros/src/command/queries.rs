//! The values of the key `query`: the states that DCB queries fold.

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Error, Ident, Path, Result, Token, Type, parenthesized, token};

use super::events::EventsArg;
use crate::attr::{AttrArg, AttrSpec};
use crate::parse;

static SPEC: AttrSpec = AttrSpec {
    name: "query",
    title: "`query(…)`",
    keys: &["events"],
    example: "query(Seats, events = SeatEvent)",
};

/// The DCB queries of a command: `query = A`, `query = (A, B)`, or `query(A, events = …)` for each.
#[derive(Default)]
pub struct QueriesArg {
    queries: Vec<QueryArg>,
    /// The first key, and whether `=` comes after it.
    key: Option<(Ident, bool)>,
}

/// A DCB query: `Seats`, `Seats::of` with a constructor, or `Seats as taken` with another name.
pub struct QueryArg {
    /// The state that the query folds.
    pub state: Type,
    /// The function that creates the state from the values of the tags.
    pub constructor: Option<Path>,
    /// The name in `#[tag(…)]`; `None` for a type without a name.
    pub name: Option<Ident>,
    pub events: AttrArg<EventsArg>,
}

impl QueriesArg {
    /// Parses everything after the key `query`.
    pub fn parse(&mut self, key: &Ident, input: ParseStream<'_>) -> Result<()> {
        let is_assignment = !input.peek(token::Paren);
        match &self.key {
            Some((_, true)) if is_assignment => {
                let message = "duplicate key `query`; write `query = (A, B)` for two DCB queries";
                return Err(Error::new_spanned(key, message));
            }
            Some((_, other)) if is_assignment || *other => {
                let message = "`query = …` and `query(…)` cannot be combined; write `query(…)` for each DCB query";
                return Err(Error::new_spanned(key, message));
            }
            _ => {}
        }
        self.key.get_or_insert_with(|| (key.clone(), is_assignment));
        if !is_assignment {
            self.queries.push(QueryArg::parse_with_keys(input)?);
            return Ok(());
        }
        if !input.peek(Token![=]) {
            let message = "missing value of `query`; write `query = …`";
            return Err(Error::new_spanned(key, message));
        }
        input.parse::<Token![=]>()?;
        if !input.peek(token::Paren) {
            self.queries.push(QueryArg::parse(input)?);
            return Ok(());
        }
        let content;
        let paren = parenthesized!(content in input);
        let queries = Punctuated::<_, Token![,]>::parse_terminated_with(&content, QueryArg::parse)?;
        if !(2..=4).contains(&queries.len()) {
            let message = format!(
                "a tuple in `query` must have two to four elements, but has {}; write one state without parentheses",
                queries.len()
            );
            return Err(Error::new(paren.span.join(), message));
        }
        self.queries.extend(queries);
        Ok(())
    }

    /// Returns the queries.
    pub fn as_slice(&self) -> &[QueryArg] {
        &self.queries
    }
}

impl QueryArg {
    /// Parses `Seats` or `Seats as taken`.
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (state, constructor) = split_constructor(parse::ty(input)?);
        let name = match input.parse::<Option<Token![as]>>()? {
            Some(_) => Some(input.call(Ident::parse_any)?),
            None => type_name(&state),
        };
        Ok(Self {
            state,
            constructor,
            name,
            events: AttrArg::default(),
        })
    }

    /// Parses `(Seats, events = SeatEvent)`.
    fn parse_with_keys(input: ParseStream<'_>) -> Result<Self> {
        let content;
        parenthesized!(content in input);
        let mut query = Self::parse(&content)?;
        if content.is_empty() {
            return Ok(query);
        }
        content.parse::<Token![,]>()?;
        SPEC.parse_rest(&content, |key, input| {
            query.events.parse_assignment(key, input, EventsArg::parse)
        })?;
        Ok(query)
    }
}

/// Returns the type, and the path if it ends with a function of the type.
///
/// The name of a function begins with a lower-case letter.
fn split_constructor(ty: Type) -> (Type, Option<Path>) {
    let Type::Path(path) = &ty else {
        return (ty, None);
    };
    let mut state = path.clone();
    let segments = &mut state.path.segments;
    let Some(last) = segments.pop() else {
        return (ty, None);
    };
    let name = last.ident.unraw().to_string();
    let is_function = name.starts_with(|first: char| first.is_lowercase() || first == '_');
    if path.qself.is_some() || segments.is_empty() || !is_function {
        return (ty, None);
    }
    segments.pop_punct();
    let constructor = path.path.clone();
    (Type::Path(state), Some(constructor))
}

/// Returns the last segment of the path.
fn type_name(ty: &Type) -> Option<Ident> {
    let Type::Path(path) = ty else { return None };
    path.path.segments.last().map(|last| last.ident.clone())
}
