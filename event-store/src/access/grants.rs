//! [`Grants`]: the permissions of a user, and what they mean for requests to a store.

use factum::store::{Query, QueryItem};

use super::permission::Permission;
use super::prefixes::Prefixes;

/// The prefix of the keys of documents that belong to the server.
///
/// Only administrators change them through the API of documents.
pub const SERVER_DOCUMENTS: &str = "$";

/// The prefix of the keys of documents that belong to a stream.
const STREAM_DOCUMENTS: &str = "$stream/";

/// The prefix of the name of a stream with metadata of another stream.
const METADATA_STREAM: &str = "$$";

/// Returns the key of a document that belongs to `stream`, for example its settings in another protocol.
///
/// A caller may read it with `read` or `append`, and change it with `append` for the stream. `kind` must not contain a `/`.
#[must_use]
pub fn stream_document(kind: &str, stream: &str) -> String {
    format!("{STREAM_DOCUMENTS}{kind}/{stream}")
}

/// Returns the stream to which the document with this key belongs.
#[must_use]
pub fn stream_of_document(key: &str) -> Option<&str> {
    let (_, stream) = key.strip_prefix(STREAM_DOCUMENTS)?.split_once('/')?;
    Some(stream)
}

/// The purpose of an access to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentAccess {
    /// The document is read.
    Read,
    /// The document is changed, or its revision is checked.
    Change,
}

/// Streams by prefix.
///
/// A prefix with a `-` at its end only, such as `order-`, is the category `order`: it has the stream `order`, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamPrefixes(Prefixes);

impl StreamPrefixes {
    /// Creates the set of streams whose names begin with one of `texts`.
    #[must_use]
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        Self(Prefixes::new(texts))
    }

    /// Returns the prefixes in the order of their bytes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter()
    }

    /// Returns whether the set has every stream.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.0.is_everything()
    }

    /// Returns whether the set has the stream. The metadata stream `$$NAME` of another protocol belongs to `NAME`.
    #[must_use]
    pub fn has(&self, stream: &str) -> bool {
        let stream = stream.strip_prefix(METADATA_STREAM).unwrap_or(stream);
        self.0.covers(stream) || is_category(stream) && self.has_category_prefix(stream)
    }

    /// Returns the category of which a prefix consists.
    #[must_use]
    pub fn category_of(prefix: &str) -> Option<&str> {
        let category = prefix.strip_suffix('-')?;
        (!category.is_empty() && is_category(category)).then_some(category)
    }

    fn has_category_prefix(&self, category: &str) -> bool {
        !category.is_empty() && self.0.contains(&format!("{category}-"))
    }

    /// Returns whether the set has all streams of an item of a query.
    fn covers(&self, item: &QueryItem) -> bool {
        let prefix = item.stream_prefix.as_deref();
        let category = item.category.as_deref();
        self.is_everything()
            || prefix.is_some_and(|prefix| self.0.covers(prefix))
            || category.is_some_and(|category| {
                self.0.covers(category)
                    || is_category(category) && self.has_category_prefix(category)
            })
    }

    /// Returns whether the set has some of the streams that an item of a query can match.
    fn overlaps(&self, item: &QueryItem) -> bool {
        let prefix = item.stream_prefix.as_deref().unwrap_or_default();
        let category = item.category.as_deref();
        !self.0.is_empty()
            && self.0.overlaps(prefix)
            && category.is_none_or(|category| {
                self.has(category) || self.0.overlaps(&format!("{category}-"))
            })
    }

    /// Returns the query that matches the events of the set.
    fn query(&self) -> Query {
        if self.is_everything() {
            return Query::all();
        }
        let items = self.0.iter().map(|prefix| match Self::category_of(prefix) {
            Some(category) => Query::category(category),
            None => Query::stream_prefix(prefix),
        });
        items.fold(Query::none(), Query::or)
    }
}

/// Returns whether `text` is the name of a category: it has no `-`.
fn is_category(text: &str) -> bool {
    !text.contains('-')
}

/// The permissions of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    read: StreamPrefixes,
    append: StreamPrefixes,
    documents: Prefixes,
    groups: Prefixes,
    is_admin: bool,
    /// Matches the events that the user may read.
    visible: Query,
}

/// The prefixes of the names for which a role has each permission.
#[derive(Debug, Clone, Default)]
pub struct GrantedNames {
    /// The streams to read.
    pub read: Vec<String>,
    /// The streams to append to.
    pub append: Vec<String>,
    /// The documents.
    pub documents: Vec<String>,
    /// The consumer groups.
    pub groups: Vec<String>,
    /// Set if the role has every permission.
    pub is_admin: bool,
}

/// The part of a request for which a permission is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The permission.
    pub permission: Permission,
    /// The object of the request, as in a sentence.
    pub resource: String,
}

impl Missing {
    fn new(permission: Permission, resource: impl Into<String>) -> Self {
        Self {
            permission,
            resource: resource.into(),
        }
    }
}

impl Grants {
    /// Creates the permissions of a user.
    #[must_use]
    pub fn new(names: GrantedNames) -> Self {
        let everything = |texts: Vec<String>| match names.is_admin {
            true => vec![String::new()],
            false => texts,
        };
        let read = StreamPrefixes::new(everything(names.read));
        Self {
            visible: read.query(),
            read,
            append: StreamPrefixes::new(everything(names.append)),
            documents: Prefixes::new(everything(names.documents)),
            groups: Prefixes::new(everything(names.groups)),
            is_admin: names.is_admin,
        }
    }

    /// Returns the streams that the user may read.
    #[must_use]
    pub fn read(&self) -> &StreamPrefixes {
        &self.read
    }

    /// Requires a permission for an object by its name.
    ///
    /// # Errors
    /// Returns the missing permission.
    pub fn require(&self, permission: Permission, name: &str) -> Result<(), Missing> {
        let (has, kind) = match permission {
            Permission::Read => (self.read.has(name), "stream"),
            Permission::Append => (self.append.has(name), "stream"),
            Permission::Documents => (self.documents.covers(name), "document"),
            Permission::Groups => (self.groups.covers(name), "consumer group"),
            Permission::Admin => (self.is_admin, "operation"),
        };
        match has {
            true => Ok(()),
            false => Err(Missing::new(permission, format!("{kind} {name:?}"))),
        }
    }

    /// Requires the permission to depend on the version of a stream.
    ///
    /// An append depends on the metadata of its stream, so `append` is enough for the version of these.
    ///
    /// # Errors
    /// Returns the missing permission.
    pub fn require_version(&self, stream: &str) -> Result<(), Missing> {
        match self.require(Permission::Read, stream) {
            Err(_) if stream.starts_with(METADATA_STREAM) && self.append.has(stream) => Ok(()),
            result => result,
        }
    }

    /// Requires the permission for a document. A document of a stream needs that of the stream.
    ///
    /// # Errors
    /// Returns the missing permission.
    pub fn require_document(&self, key: &str, access: DocumentAccess) -> Result<(), Missing> {
        if let Some(stream) = stream_of_document(key) {
            return match access {
                // An append depends on the settings of its stream.
                DocumentAccess::Read => self
                    .require(Permission::Read, stream)
                    .or_else(|missing| self.require(Permission::Append, stream).or(Err(missing))),
                DocumentAccess::Change => self.require(Permission::Append, stream),
            };
        }
        match key.starts_with(SERVER_DOCUMENTS) && !self.is_admin {
            true => Err(Missing::new(Permission::Admin, format!("document {key:?}"))),
            false => self.require(Permission::Documents, key),
        }
    }

    /// Requires the permission for all documents whose keys begin with `prefix`.
    ///
    /// # Errors
    /// Returns the missing permission.
    pub fn require_documents(&self, prefix: &str) -> Result<(), Missing> {
        if stream_of_document(prefix).is_some() && !self.is_admin {
            // The streams of the documents begin with the rest of the prefix.
            let stream = stream_of_document(prefix).unwrap_or_default();
            let item = QueryItem {
                stream_prefix: Some(stream.to_owned()),
                ..QueryItem::default()
            };
            return self.require_item(&item);
        }
        // Documents of the server are not a part of a wider range either.
        let is_shared = prefix.is_empty() || prefix.starts_with(SERVER_DOCUMENTS);
        let has = self.is_admin || self.documents.covers(prefix) && !is_shared;
        match has {
            true => Ok(()),
            false => Err(Missing::new(
                Permission::Documents,
                format!("documents with the prefix {prefix:?}"),
            )),
        }
    }

    /// Returns the query for the events that match `query` and that the user may read.
    ///
    /// # Errors
    /// Returns the missing permission if an alternative names streams of which the user may read none.
    pub fn visible(&self, query: Query) -> Result<Query, Missing> {
        if self.read.is_everything() || query.matches_nothing() {
            return Ok(query);
        }
        let unlimited = [QueryItem::default()];
        let items = match query.items() {
            [] => unlimited.as_slice(),
            items => items,
        };
        if let Some(item) = items.iter().find(|item| !self.read.overlaps(item)) {
            return Err(Missing::new(Permission::Read, streams_of(item)));
        }
        Ok(query.and(self.visible.clone()))
    }

    /// Requires that the user may read all events that can match `query`.
    ///
    /// # Errors
    /// Returns the missing permission.
    pub fn require_all(&self, query: &Query) -> Result<(), Missing> {
        match query.items() {
            _ if query.matches_nothing() => Ok(()),
            [] => self.require_item(&QueryItem::default()),
            items => items.iter().try_for_each(|item| self.require_item(item)),
        }
    }

    fn require_item(&self, item: &QueryItem) -> Result<(), Missing> {
        match self.read.covers(item) {
            true => Ok(()),
            false => Err(Missing::new(Permission::Read, streams_of(item))),
        }
    }
}

/// Describes the streams that an item of a query can match.
fn streams_of(item: &QueryItem) -> String {
    match (&item.stream_prefix, &item.category) {
        (Some(prefix), _) => format!("streams with the prefix {prefix:?}"),
        (None, Some(category)) => format!("streams of the category {category:?}"),
        (None, None) => "all streams, to which the query is not limited".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use factum::StreamId;

    use super::*;

    fn reader(prefixes: &[&str]) -> Grants {
        Grants::new(GrantedNames {
            read: prefixes.iter().map(|text| (*text).to_owned()).collect(),
            ..GrantedNames::default()
        })
    }

    fn can_read(grants: &Grants, stream: &str) -> bool {
        grants.require(Permission::Read, stream).is_ok()
    }

    #[test]
    fn prefix_with_a_hyphen_is_a_category() {
        let grants = reader(&["order-", "a-b-"]);
        for (stream, may) in [
            ("order-1", true),
            ("order", true),
            ("orders-1", false),
            ("orde", false),
            ("Order-1", false),
            // Cyrillic `о`, a full-width hyphen, and a combining accent.
            ("\u{43e}rder-1", false),
            ("order\u{ff0d}1", false),
            ("orde\u{301}r-1", false),
            ("$$order-1", true),
            ("$$orders-1", false),
            ("$order-1", false),
            ("a-b-1", true),
            ("a-b", false),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(can_read(&grants, stream), may, "{stream:?}");
        }
        assert!(!can_read(&reader(&[]), "order-1"));
        assert!(can_read(&reader(&[""]), "order-1"));
    }

    /// The query matches an event of a stream after the filter only if the user may read the stream.
    #[test]
    fn filter_agrees_with_the_permission_for_each_stream() {
        let streams = [
            "order",
            "order-1",
            "orders-1",
            "order-eu-1",
            "cart-1",
            "cart",
        ];
        let queries = [
            Query::all(),
            Query::none(),
            Query::category("order"),
            Query::category("orders"),
            Query::stream_prefix("order"),
            Query::stream_prefix("order-e"),
            Query::event_types(["x"]),
            Query::category("cart").or(Query::stream_prefix("order-")),
        ];
        for prefixes in [
            &[][..],
            &[""],
            &["order-"],
            &["order"],
            &["order-eu-", "cart"],
        ] {
            let grants = reader(prefixes);
            for query in &queries {
                let readable = streams.map(|stream| can_read(&grants, stream));
                let matching = |query: &Query| {
                    streams.map(|stream| query.matches_parts(&id(stream), "x", &[]))
                };
                let matching_all = matching(query);
                let allowed: Vec<bool> = readable
                    .iter()
                    .zip(matching_all)
                    .map(|(may, matches)| *may && matches)
                    .collect();
                match grants.visible(query.clone()) {
                    Ok(visible) => assert_eq!(matching(&visible), *allowed, "{query:?}"),
                    // An alternative is refused only if it would be empty.
                    Err(missing) => {
                        assert!(!prefixes.contains(&""), "{missing:?}");
                        assert!(
                            query.items().len() == 2 || !allowed.contains(&true),
                            "{query:?}"
                        );
                    }
                }
                if grants.require_all(query).is_ok() {
                    assert_eq!(*allowed, matching_all, "{prefixes:?} {query:?}");
                }
            }
        }
    }

    fn id(stream: &str) -> StreamId {
        stream.parse().expect("a stream id")
    }

    #[test]
    fn condition_needs_every_stream_that_can_match() {
        let grants = reader(&["order-"]);
        for (query, may) in [
            (Query::all(), false),
            (Query::none(), true),
            (Query::event_types(["x"]), false),
            (Query::category("order"), true),
            (Query::stream_prefix("order-7"), true),
            (Query::stream_prefix("order"), false),
            (Query::category("order").or(Query::category("cart")), false),
        ] {
            assert_eq!(grants.require_all(&query).is_ok(), may, "{query:?}");
        }
    }

    #[test]
    fn append_may_depend_on_the_metadata_of_its_stream() {
        let grants = Grants::new(GrantedNames {
            read: vec!["cart-".to_owned()],
            append: vec!["order-".to_owned()],
            ..GrantedNames::default()
        });
        for (stream, may) in [
            ("cart-1", true),
            ("$$cart-1", true),
            ("order-1", false),
            ("$$order-1", true),
            ("$$lease-1", false),
        ] {
            assert_eq!(grants.require_version(stream).is_ok(), may, "{stream}");
        }
    }

    #[test]
    fn documents_of_the_server_and_of_streams_have_their_own_rule() {
        let grants = Grants::new(GrantedNames {
            read: vec!["order-".to_owned()],
            documents: vec![String::new()],
            ..GrantedNames::default()
        });
        let may = |key: &str, access| grants.require_document(key, access).is_ok();
        let settings = stream_document("settings", "order-1");
        assert!(may(&settings, DocumentAccess::Read));
        assert!(!may(&settings, DocumentAccess::Change));
        let other = stream_document("settings", "cart-1");
        assert!(!may(&other, DocumentAccess::Read));
        assert!(may("lease/1", DocumentAccess::Change));
        assert!(!may("$groups/billing", DocumentAccess::Read));
        assert!(grants.require_documents("lease/").is_ok());
        assert!(grants.require_documents("").is_err());
        assert!(grants.require_documents("$").is_err());
        assert!(grants.require_documents("$stream/settings/order-").is_ok());
        assert!(grants.require_documents("$stream/settings/").is_err());
    }

    #[test]
    fn administrator_may_do_everything() {
        let grants = Grants::new(GrantedNames {
            is_admin: true,
            ..GrantedNames::default()
        });
        for permission in [
            Permission::Read,
            Permission::Append,
            Permission::Documents,
            Permission::Groups,
            Permission::Admin,
        ] {
            assert_eq!(grants.require(permission, "anything"), Ok(()));
        }
        assert!(grants.require_documents("").is_ok());
        assert!(
            grants
                .require_document("$groups/a", DocumentAccess::Change)
                .is_ok()
        );
        assert_eq!(grants.visible(Query::all()), Ok(Query::all()));
    }
}
