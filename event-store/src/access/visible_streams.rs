//! [`list_visible`]: a page of the streams that a caller may read.

use factum::store::{Read, Store, StoreError, StreamId, StreamList, StreamSummary};

use super::grants::StreamPrefixes;

/// A part of the streams that a caller may read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    /// The first name of the part.
    first: String,
    /// Set if the part has all names that begin with the first one.
    is_prefix: bool,
}

/// Returns a page of the streams with one of `prefixes`, in the byte order of their names.
///
/// Other streams are skipped, not read.
pub async fn list_visible(
    store: &dyn Store,
    list: StreamList,
    prefixes: &StreamPrefixes,
) -> Result<Vec<StreamSummary>, StoreError> {
    let mut found = Vec::new();
    for part in parts(prefixes) {
        // The name itself is not after itself.
        if let Ok(first) = part.first.parse::<StreamId>()
            && list.matches(&first)
        {
            found.extend(summary(store, first).await?);
        }
        if part.is_prefix {
            list_prefix(store, &list, &part.first, &mut found).await?;
        }
        if found.len() >= list.limit {
            break;
        }
    }
    found.truncate(list.limit);
    Ok(found)
}

/// Returns the parts in the order of their names. A category also has the stream of its own name.
fn parts(prefixes: &StreamPrefixes) -> Vec<Part> {
    let mut parts: Vec<_> = prefixes
        .iter()
        .flat_map(|prefix| {
            let category = StreamPrefixes::category_of(prefix).map(|category| Part {
                first: category.to_owned(),
                is_prefix: false,
            });
            let streams = Part {
                first: prefix.to_owned(),
                is_prefix: true,
            };
            category.into_iter().chain([streams])
        })
        .collect();
    parts.sort();
    parts
}

/// Adds the streams after `prefix` that begin with it.
async fn list_prefix(
    store: &dyn Store,
    list: &StreamList,
    prefix: &str,
    found: &mut Vec<StreamSummary>,
) -> Result<(), StoreError> {
    let mut list = list.clone();
    if let Ok(prefix) = prefix.parse::<StreamId>() {
        list.after = list.after.max(Some(prefix));
    }
    let limit = list.limit;
    while found.len() < limit {
        let page = store.list_streams(list.clone()).await?;
        let is_last = page.len() < list.limit;
        list.after = page.last().map(|last| last.stream.clone());
        let count = page.len();
        let begin = |summary: &StreamSummary| summary.stream.as_str().starts_with(prefix);
        found.extend(page.into_iter().take_while(begin));
        let has_others = found.last().map(|last| &last.stream) != list.after.as_ref();
        if is_last || has_others || count == 0 {
            break;
        }
    }
    Ok(())
}

async fn summary(store: &dyn Store, stream: StreamId) -> Result<Option<StreamSummary>, StoreError> {
    let newest = Read::stream(stream.clone()).backward().limit(1);
    let page = store.read(newest).await?;
    Ok(page.events.first().map(|last| StreamSummary {
        stream,
        version: last.version,
        position: last.position,
    }))
}
