//! [`PersistentGroup`]: a group, the stream that it reads, and the errors about it.

use factum::StreamId;
use factum::store::{Read, Store, StoreError};
use factum_compatible_protocols::kurrentdb::client::StreamIdentifier;
use factum_compatible_protocols::kurrentdb::client::persistent_subscriptions::{
    create_req, delete_req, get_info_req, list_req, read_req, replay_parked_req,
    truncate_parked_req, update_req,
};
use tonic::{Code, Status};

use crate::groups::error::GroupError;
use crate::groups::group_document::GroupName;
use crate::groups::settings::GroupScope;
use crate::groups::{FilteredText, GroupFilter};
use crate::kurrentdb::errors::{Refused, read_status, with_trailers};
use crate::kurrentdb::event::{revision, stream};
use crate::kurrentdb::request::Start;
use crate::kurrentdb::virtual_stream::VirtualStream;
use crate::log_head::read_head;

/// The name of the log of all streams.
pub const ALL: &str = "$all";

/// The stream of a group, and where the group starts.
#[derive(Debug, Clone)]
pub struct GroupSource {
    stream: Option<StreamId>,
    start: Start,
}

impl GroupSource {
    /// Returns where the group starts.
    pub fn start(&self) -> Start {
        self.start
    }
}

/// A group and the stream that it reads.
#[derive(Debug, Clone)]
pub struct PersistentGroup {
    /// The name of the consumer group: `STREAM::GROUP`.
    pub name: GroupName,
    /// The name of the stream, or `$all`.
    pub stream: String,
    /// The name of the group.
    pub group: String,
    /// The events.
    pub scope: GroupScope,
    /// Set if the stream has links to events, which are made when they are read.
    pub virtual_stream: Option<VirtualStream>,
}

impl PersistentGroup {
    /// Creates the group `group` on a stream.
    pub fn new(source: &GroupSource, group: &str) -> Result<Self, Refused> {
        Self::named(source.stream.as_ref(), group)
    }

    /// Creates the group `group` on a stream; `None` is the log of all streams.
    pub fn named(stream: Option<&StreamId>, group: &str) -> Result<Self, Refused> {
        if group.is_empty() {
            return Err(Refused::Invalid("missing name of the group".to_owned()));
        }
        let virtual_stream = stream.and_then(VirtualStream::named);
        let scope = match (stream, &virtual_stream) {
            (_, Some(links)) => GroupScope::of_query(&links.query()),
            (Some(stream), None) => GroupScope::Stream(stream.to_string()),
            (None, None) => GroupScope::Query(Vec::new()),
        };
        let stream = stream.map_or_else(|| ALL.to_owned(), ToString::to_string);
        let name = GroupName::new("group_name", format!("{stream}::{group}"));
        Ok(Self {
            name: name.map_err(Refused::from_group)?,
            stream,
            group: group.to_owned(),
            scope,
            virtual_stream,
        })
    }

    /// Returns whether the group reads the log of all streams.
    pub fn is_all(&self) -> bool {
        self.stream == ALL
    }

    /// Returns the position after which the group starts.
    pub async fn start(&self, store: &dyn Store, start: Start) -> Result<u64, GroupError> {
        let at = match start {
            Start::First => return Ok(0),
            Start::End => return Ok(read_head(store).await?.get()),
            Start::At(at) => at,
        };
        let GroupScope::Stream(name) = &self.scope else {
            // The revision of a link is the position of its event.
            return Ok(at.saturating_sub(1));
        };
        let stream = name.parse::<StreamId>();
        let stream = stream.map_err(|error| GroupError::invalid("stream", error))?;
        let before = Read::stream(stream).before(at + 1).limit(1);
        let last = store.read(before).await?.events.pop();
        Ok(last.map_or(0, |event| event.position.get()))
    }

    /// Returns the revision of the last event of the stream up to a position.
    pub async fn revision_at(
        &self,
        store: &dyn Store,
        position: u64,
    ) -> Result<Option<u64>, StoreError> {
        let GroupScope::Stream(name) = &self.scope else {
            return Ok((position > 0).then_some(position));
        };
        let Ok(stream) = name.parse::<StreamId>() else {
            return Ok(None);
        };
        let read = Read::streams([stream]).before(position + 1).limit(1);
        let last = store.read(read).await?.events.pop();
        Ok(last.as_ref().map(revision))
    }

    /// Converts an error about the group.
    pub fn status(&self, error: &GroupError) -> Status {
        let (stream, group) = (&self.stream, &self.group);
        let names = [("stream-name", &**stream), ("group-name", &**group)];
        match error {
            GroupError::NotFound { .. } => not_found(stream, group),
            GroupError::Exists { .. } => {
                let message = format!("Subscription group {group} on stream {stream} exists.");
                let status = Status::already_exists(message);
                with_trailers(status, "persistent-subscription-exists", &names)
            }
            GroupError::TooMany { what, .. } if what.starts_with("consumers") => {
                let message = format!(
                    "Maximum subscriptions reached for subscription group {group} on stream {stream}."
                );
                let status = Status::failed_precondition(message);
                with_trailers(status, "maximum-subscribers-reached", &names)
            }
            GroupError::Store(error) => read_status(error),
            GroupError::Stopping => Status::unavailable(error.to_string()),
            GroupError::Invalid { .. } => Status::invalid_argument(error.to_string()),
            error => self.failed(&error.to_string()),
        }
    }

    /// Returns the status of a request that the group cannot fulfill, as clients expect it for settings that are not valid.
    pub fn failed(&self, reason: &str) -> Status {
        let (stream, group) = (&self.stream, &self.group);
        let message = format!("Subscription group {group} on stream {stream} failed: {reason}");
        let names = [
            ("stream-name", &**stream),
            ("group-name", &**group),
            ("reason", reason),
        ];
        let status = Status::new(Code::Internal, message);
        with_trailers(status, "persistent-subscription-failed", &names)
    }

    /// Returns the status of a consumer whose subscription ends.
    pub fn dropped(&self, reason: &str) -> Status {
        let (stream, group) = (&self.stream, &self.group);
        let message =
            format!("Subscription group {group} on stream {stream} was dropped: {reason}");
        let names = [("stream-name", &**stream), ("group-name", &**group)];
        let status = Status::cancelled(message);
        with_trailers(status, "persistent-subscription-dropped", &names)
    }
}

/// Returns the status for a group that does not exist.
pub fn not_found(stream: &str, group: &str) -> Status {
    let message = format!("Subscription group {group} on stream {stream} does not exist.");
    let names = [("stream-name", stream), ("group-name", group)];
    let status = Status::not_found(message);
    with_trailers(status, "persistent-subscription-does-not-exist", &names)
}

fn missing_stream() -> Refused {
    Refused::Invalid("missing stream; expected a stream or all streams".to_owned())
}

/// Returns the source in a request of a client that names the stream outside of `stream_option`.
///
/// `@kurrent/kurrentdb-client` of npm sends streams in this form.
fn old_source(
    identifier: Option<StreamIdentifier>,
    revision: Option<u64>,
) -> Result<GroupSource, Refused> {
    let identifier = identifier.ok_or_else(missing_stream)?;
    let start = match revision {
        None | Some(0) => Start::First,
        Some(u64::MAX) => Start::End,
        Some(revision) => Start::At(revision),
    };
    Ok(GroupSource {
        stream: Some(stream(Some(identifier))?),
        start,
    })
}

/// Returns the stream and the start of a new group.
#[expect(
    deprecated,
    reason = "clients send the stream and the revision in two forms"
)]
pub fn create_source(options: &create_req::Options) -> Result<GroupSource, Refused> {
    use create_req::all_options::AllOption;
    use create_req::options::StreamOption;
    use create_req::stream_options::RevisionOption;
    match &options.stream_option {
        Some(StreamOption::Stream(options)) => Ok(GroupSource {
            stream: Some(stream(options.stream_identifier.clone())?),
            start: match options.revision_option {
                Some(RevisionOption::Revision(revision)) => Start::At(revision),
                Some(RevisionOption::End(_)) => Start::End,
                Some(RevisionOption::Start(_)) | None => Start::First,
            },
        }),
        Some(StreamOption::All(options)) => Ok(GroupSource {
            stream: None,
            start: match options.all_option {
                Some(AllOption::Position(position)) => Start::At(position.commit_position),
                Some(AllOption::End(_)) => Start::End,
                Some(AllOption::Start(_)) | None => Start::First,
            },
        }),
        None => {
            let revision = options.settings.as_ref().map(|settings| settings.revision);
            old_source(options.stream_identifier.clone(), revision)
        }
    }
}

/// Returns the stream and the start of a group to change.
#[expect(
    deprecated,
    reason = "clients send the stream and the revision in two forms"
)]
pub fn update_source(options: &update_req::Options) -> Result<GroupSource, Refused> {
    use update_req::all_options::AllOption;
    use update_req::options::StreamOption;
    use update_req::stream_options::RevisionOption;
    match &options.stream_option {
        Some(StreamOption::Stream(options)) => Ok(GroupSource {
            stream: Some(stream(options.stream_identifier.clone())?),
            start: match options.revision_option {
                Some(RevisionOption::Revision(revision)) => Start::At(revision),
                Some(RevisionOption::End(_)) => Start::End,
                Some(RevisionOption::Start(_)) | None => Start::First,
            },
        }),
        Some(StreamOption::All(options)) => Ok(GroupSource {
            stream: None,
            start: match options.all_option {
                Some(AllOption::Position(position)) => Start::At(position.commit_position),
                Some(AllOption::End(_)) => Start::End,
                Some(AllOption::Start(_)) | None => Start::First,
            },
        }),
        None => {
            let revision = options.settings.as_ref().map(|settings| settings.revision);
            old_source(options.stream_identifier.clone(), revision)
        }
    }
}

/// Returns the filter of a new group.
pub fn filter(
    option: &Option<create_req::options::StreamOption>,
) -> Result<Option<GroupFilter>, Refused> {
    use create_req::all_options::FilterOption;
    use create_req::all_options::filter_options::Filter;
    use create_req::options::StreamOption;
    let Some(StreamOption::All(options)) = option else {
        return Ok(None);
    };
    let Some(FilterOption::Filter(filter)) = &options.filter_option else {
        return Ok(None);
    };
    let (text, expression) = match &filter.filter {
        Some(Filter::StreamIdentifier(expression)) => (FilteredText::Stream, expression),
        Some(Filter::EventType(expression)) => (FilteredText::EventType, expression),
        None => {
            let rule = "missing filter; expected a property";
            return Err(Refused::Invalid(rule.to_owned()));
        }
    };
    match (&*expression.regex, &*expression.prefix) {
        ("", []) => {
            let rule = "missing filter; expected a regular expression or prefixes";
            Err(Refused::Invalid(rule.to_owned()))
        }
        ("", prefixes) => Ok(Some(GroupFilter::prefixes(text, prefixes.to_vec()))),
        (pattern, _) => {
            let filter = GroupFilter::pattern(text, pattern.to_owned());
            filter.map(Some).map_err(Refused::Invalid)
        }
    }
}

fn of_stream(
    identifier: Option<StreamIdentifier>,
    group: &str,
) -> Result<PersistentGroup, Refused> {
    PersistentGroup::named(Some(&stream(identifier)?), group)
}

macro_rules! group_of_request {
    ($(#[$docs:meta])* $name:ident, $request:ident) => {
        $(#[$docs])*
        pub fn $name(options: &$request::Options) -> Result<PersistentGroup, Refused> {
            match &options.stream_option {
                Some($request::options::StreamOption::StreamIdentifier(stream)) => {
                    of_stream(Some(stream.clone()), &options.group_name)
                }
                Some($request::options::StreamOption::All(_)) => {
                    PersistentGroup::named(None, &options.group_name)
                }
                None => Err(missing_stream()),
            }
        }
    };
}

group_of_request!(
    /// Returns the group of a request to delete it.
    of_delete, delete_req
);
group_of_request!(
    /// Returns the group of a request to describe it.
    of_get_info, get_info_req
);
group_of_request!(
    /// Returns the group of a request to deliver its parked events again.
    of_replay, replay_parked_req
);
group_of_request!(
    /// Returns the group of a request to discard its parked events.
    of_truncate, truncate_parked_req
);
group_of_request!(
    /// Returns the group of a consumer.
    of_read, read_req
);

/// Returns the name of the stream whose groups are listed.
pub fn listed_stream(
    option: Option<list_req::stream_option::StreamOption>,
) -> Result<String, Refused> {
    match option {
        Some(list_req::stream_option::StreamOption::Stream(identifier)) => {
            Ok(stream(Some(identifier))?.to_string())
        }
        Some(list_req::stream_option::StreamOption::All(_)) => Ok(ALL.to_owned()),
        None => Err(missing_stream()),
    }
}
