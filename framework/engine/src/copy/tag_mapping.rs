//! [`TagMapping`]: the tags of the copies.

use factum_core::error::BoxError;
use factum_core::personal::{TAG, redact};
use factum_core::record::RecordedEvent;
use factum_core::tag::Tag;

use crate::domain::codec::decode_all;
use crate::domain::event::{Event, has_name};

/// Returns the tags of the copy of an event, or `None` to keep the tags.
type Mapping<'c> = dyn Fn(&RecordedEvent) -> Result<Option<Vec<Tag>>, BoxError> + Send + Sync + 'c;

/// Functions that determine the tags of copies, one after the other.
#[derive(Default)]
pub struct TagMapping<'c>(Vec<Box<Mapping<'c>>>);

impl<'c> TagMapping<'c> {
    pub fn add(
        &mut self,
        mapping: impl Fn(&RecordedEvent) -> Result<Option<Vec<Tag>>, BoxError> + Send + Sync + 'c,
    ) {
        self.0.push(Box::new(mapping));
    }

    /// Sets the tags of `event` to those of its copy; tags of data subjects are kept.
    pub fn apply(&self, event: &mut RecordedEvent) -> Result<(), BoxError> {
        for mapping in &self.0 {
            let Some(tags) = mapping(event)? else {
                continue;
            };
            let subjects = event.tags.drain(..).filter(is_subject).collect::<Vec<_>>();
            for tag in tags.into_iter().chain(subjects) {
                if !event.tags.contains(&tag) {
                    event.tags.push(tag);
                }
            }
        }
        Ok(())
    }
}

/// Returns whether `tag` names a data subject of the event.
pub fn is_subject(tag: &Tag) -> bool {
    let rest = tag.as_str().strip_prefix(TAG);
    rest.is_some_and(|rest| rest.starts_with(':'))
}

/// Returns the tags of `event` in the present code, or `None` for another or a retired type.
pub fn tags_of<E: Event>(event: &RecordedEvent) -> Result<Option<Vec<Tag>>, BoxError> {
    if !has_name::<E>(&event.name) {
        return Ok(None);
    }
    // The store contains encrypted fields, which do not decode.
    let mut readable = [event.clone()];
    redact(&mut readable)?;
    let mut tags = None;
    for current in decode_all::<E>(&readable[0])? {
        tags.get_or_insert_with(Vec::new).extend(current.tags()?);
    }
    Ok(tags)
}
