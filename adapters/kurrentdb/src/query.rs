//! The filter of the server that contains the events of a query.

use std::collections::HashSet;

use factum_core::query::{Query, QueryItem};
use factum_core::stream_id::StreamId;
use kurrentdb::SubscriptionFilter;

/// The first character of the names of the server's own streams.
const SYSTEM: char = '$';

/// The maximum number of prefixes in a filter.
const MAX_PREFIXES: usize = 1_000;

/// A filter of the server, and whether it accepts only events of the query.
pub struct ServerFilter {
    /// The filter.
    pub filter: SubscriptionFilter,
    /// Set if the client need not check the events.
    pub is_exact: bool,
}

/// Returns the filter for all streams except those of the server itself.
pub fn visible_streams() -> SubscriptionFilter {
    SubscriptionFilter::on_stream_name().regex(r"^[^\$]")
}

/// Returns whether the stream belongs to the server itself.
pub fn is_of_server(stream: &str) -> bool {
    stream.starts_with(SYSTEM)
}

/// Returns a filter that accepts all events of `query`.
pub fn of_query(query: &Query) -> ServerFilter {
    let items = query.items();
    if items.is_empty() {
        return ServerFilter {
            filter: visible_streams(),
            is_exact: true,
        };
    }
    let prefixes: Option<HashSet<&str>> = items.iter().map(stream_prefix).collect();
    if let Some(filter) = prefixes.and_then(|prefixes| of_stream_prefixes(&prefixes)) {
        return inexact(filter);
    }
    let types: Option<Vec<&[String]>> = items.iter().map(event_types).collect();
    let types = types.map(|types| types.concat());
    match types {
        Some(types) if types.len() <= MAX_PREFIXES => {
            let filter = SubscriptionFilter::on_event_type();
            inexact(types.iter().fold(filter, SubscriptionFilter::add_prefix))
        }
        _ => inexact(visible_streams()),
    }
}

/// Returns a filter that accepts all events of `streams`.
pub fn of_streams(streams: &HashSet<&StreamId>) -> ServerFilter {
    let names = streams.iter().map(|stream| stream.as_str()).collect();
    inexact(of_stream_prefixes(&names).unwrap_or_else(visible_streams))
}

fn inexact(filter: SubscriptionFilter) -> ServerFilter {
    ServerFilter {
        filter,
        is_exact: false,
    }
}

/// Returns a prefix of all streams that an item can match.
fn stream_prefix(item: &QueryItem) -> Option<&str> {
    let prefix = item.stream_prefix.as_deref().or(item.category.as_deref());
    prefix.filter(|prefix| !prefix.is_empty())
}

fn event_types(item: &QueryItem) -> Option<&[String]> {
    (!item.event_types.is_empty()).then_some(&item.event_types)
}

fn of_stream_prefixes(prefixes: &HashSet<&str>) -> Option<SubscriptionFilter> {
    let filter = SubscriptionFilter::on_stream_name();
    let is_usable = !prefixes.is_empty() && prefixes.len() <= MAX_PREFIXES;
    is_usable.then(|| prefixes.iter().fold(filter, SubscriptionFilter::add_prefix))
}
