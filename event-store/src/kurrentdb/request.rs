//! [`ReadOptions`]: the options of a read, checked.

use factum::store::StreamId;
use factum_compatible_protocols::kurrentdb::client::streams::ReadReq;
use factum_compatible_protocols::kurrentdb::client::streams::read_req::options::{
    CountOption, FilterOption, ReadDirection, StreamOption, all_options, stream_options,
    uuid_option,
};

use super::errors::Refused;
use super::event::{UuidNotation, stream};
use super::filter::EventFilter;
use super::virtual_stream::VirtualStream;

/// Where a read begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first event.
    First,
    /// At the end.
    End,
    /// At this revision or position.
    At(u64),
}

/// The events of a read.
#[derive(Debug)]
pub enum Source {
    /// The events of one stream.
    Stream(StreamId),
    /// Links to the events of a category or an event type.
    Virtual(VirtualStream),
    /// The log of all streams.
    All(Option<EventFilter>),
}

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The maximum number of events.
    Count(u64),
    /// Stored events and then new ones, without end.
    Subscription,
}

/// The options of a read.
#[derive(Debug)]
pub struct ReadOptions {
    /// The events.
    pub source: Source,
    /// Where the read begins.
    pub start: Start,
    /// Set if the newest event is first.
    pub backward: bool,
    /// How much is read.
    pub extent: Extent,
    /// Set if links are replaced with their events.
    pub resolve_links: bool,
    /// The notation of UUIDs.
    pub notation: UuidNotation,
    /// Set if the client understands the positions of the first and the last event of a stream.
    pub with_stream_positions: bool,
}

impl ReadOptions {
    /// Converts a request.
    ///
    /// # Errors
    /// Returns [`Refused::Invalid`] if options are missing, not valid, or cannot be combined.
    pub fn new(request: ReadReq) -> Result<Self, Refused> {
        let missing = |name: &str| Refused::Invalid(format!("missing {name}"));
        let options = request.options.ok_or_else(|| missing("options"))?;
        let direction = ReadDirection::try_from(options.read_direction).map_err(|_| {
            Refused::Invalid(format!(
                "unknown read direction: {}",
                options.read_direction
            ))
        })?;
        let backward = direction == ReadDirection::Backwards;
        let extent = match options
            .count_option
            .ok_or_else(|| missing("count option"))?
        {
            CountOption::Count(count) => Extent::Count(count),
            CountOption::Subscription(_) => Extent::Subscription,
        };
        if backward && extent == Extent::Subscription {
            let rule = "a subscription reads forward; set the read direction Forwards";
            return Err(Refused::Invalid(rule.to_owned()));
        }
        let filter = match options.filter_option {
            Some(FilterOption::Filter(filter)) => Some(EventFilter::new(filter)?),
            Some(FilterOption::NoFilter(_)) | None => None,
        };
        let (source, start) = match options
            .stream_option
            .ok_or_else(|| missing("stream option"))?
        {
            StreamOption::Stream(_) if filter.is_some() => {
                let rule = "a filter applies to all streams; read `$all` or remove the filter";
                return Err(Refused::Invalid(rule.to_owned()));
            }
            StreamOption::Stream(options) => {
                let stream = stream(options.stream_identifier)?;
                let start = match options.revision_option {
                    Some(stream_options::RevisionOption::Revision(revision)) => Start::At(revision),
                    Some(stream_options::RevisionOption::Start(_)) => Start::First,
                    Some(stream_options::RevisionOption::End(_)) => Start::End,
                    None => return Err(missing("revision option")),
                };
                let source = match VirtualStream::named(&stream) {
                    Some(stream) => Source::Virtual(stream),
                    None => Source::Stream(stream),
                };
                (source, start)
            }
            StreamOption::All(options) => {
                let start = match options.all_option {
                    Some(all_options::AllOption::Position(position)) => {
                        Start::At(position.commit_position)
                    }
                    Some(all_options::AllOption::Start(_)) => Start::First,
                    Some(all_options::AllOption::End(_)) => Start::End,
                    None => return Err(missing("position option")),
                };
                (Source::All(filter), start)
            }
        };
        let notation = match options.uuid_option.and_then(|option| option.content) {
            Some(uuid_option::Content::String(_)) => UuidNotation::Text,
            Some(uuid_option::Content::Structured(_)) | None => UuidNotation::Structured,
        };
        let control = options.control_option.unwrap_or_default();
        Ok(Self {
            source,
            start,
            backward,
            extent,
            resolve_links: options.resolve_links,
            notation,
            with_stream_positions: control.compatibility >= 1,
        })
    }
}
