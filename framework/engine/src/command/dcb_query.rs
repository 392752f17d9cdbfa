//! [`DcbQuery`]: the tags of a DCB query, and the state before its first event.

use std::any::TypeId;
use std::fmt;

use factum_core::query::Query;
use factum_core::tag::{InvalidTag, Tag};

/// The events that a command selects for a DCB query, and the state before the first of them.
///
/// The engine adds the event types of the query.
pub struct DcbQuery<Q> {
    pub(in crate::command) query: Result<Query, InvalidTag>,
    pub(in crate::command) start: StartState<Q>,
}

/// The function that creates the state of a DCB query before its first event.
///
/// The engine calls it again if it must build the state again.
pub struct StartState<Q> {
    /// The type of the function. Two queries share a state only if it is the same.
    function: TypeId,
    create: Box<dyn Fn() -> Q + Send + Sync>,
}

impl<Q> DcbQuery<Q> {
    /// Selects the events with any of `tags`, and begins with the default state.
    ///
    /// Without any tag, no event matches.
    ///
    /// ```
    /// # use factum::command::DcbQuery;
    /// # use factum::store::Tag;
    /// let query = DcbQuery::<Vec<u32>>::any_tag([Tag::new("course", "rust")]);
    /// ```
    #[must_use]
    pub fn any_tag(tags: impl IntoIterator<Item = Result<Tag, InvalidTag>>) -> Self
    where
        Q: Default + 'static,
    {
        Self::start_with(tags, Q::default)
    }

    /// Selects the events with any of `tags`, and begins with the state `start()`.
    ///
    /// Without any tag, no event matches.
    /// Commands with the same tags share the state, if they pass the same function. So `start` must depend on nothing but
    /// the tags.
    #[must_use]
    pub fn start_with<F>(tags: impl IntoIterator<Item = Result<Tag, InvalidTag>>, start: F) -> Self
    where
        F: Fn() -> Q + Send + Sync + 'static,
    {
        Self::with_function(tags, TypeId::of::<F>(), Box::new(start))
    }

    /// Selects the events with any of `tags`, and begins with the state `start()`.
    ///
    /// The function `start` calls `constructor`. Commands of different types share the state, if they pass the same constructor.
    #[doc(hidden)]
    pub fn construct_with<F: 'static>(
        tags: impl IntoIterator<Item = Result<Tag, InvalidTag>>,
        _constructor: F,
        start: impl Fn() -> Q + Send + Sync + 'static,
    ) -> Self {
        Self::with_function(tags, TypeId::of::<F>(), Box::new(start))
    }

    /// Returns the query for the events of every type.
    ///
    /// # Errors
    /// Returns the first tag that is not valid.
    pub fn query(&self) -> Result<&Query, &InvalidTag> {
        self.query.as_ref()
    }

    fn with_function(
        tags: impl IntoIterator<Item = Result<Tag, InvalidTag>>,
        function: TypeId,
        create: Box<dyn Fn() -> Q + Send + Sync>,
    ) -> Self {
        let tags: Result<Vec<_>, _> = tags.into_iter().collect();
        Self {
            query: tags.map(Query::any_tag),
            start: StartState { function, create },
        }
    }
}

impl<Q> StartState<Q> {
    /// Returns the type of the function.
    pub fn function(&self) -> TypeId {
        self.function
    }

    /// Returns the state before the first event.
    pub fn create(&self) -> Q {
        (self.create)()
    }
}

impl<Q> fmt::Debug for DcbQuery<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DcbQuery").field(&self.query).finish()
    }
}

impl<Q> fmt::Debug for StartState<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartState").finish_non_exhaustive()
    }
}
