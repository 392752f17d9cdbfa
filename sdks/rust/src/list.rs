//! [`StreamSummaries`]: the streams of all pages of a list.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use factum_core::stream_list::StreamSummary;
use factum_store_protocol::{read, v1};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};

use crate::error::ClientError;
use crate::session::ClientSession;

/// A list of streams that is not started yet.
#[derive(Debug, Clone)]
pub struct ListStreamsCall {
    session: ClientSession,
    request: v1::ListStreamsRequest,
}

impl ListStreamsCall {
    pub(crate) fn new(session: ClientSession) -> Self {
        let request = v1::ListStreamsRequest::default();
        Self { session, request }
    }

    /// Lists only the streams of a category.
    #[must_use]
    pub fn category(mut self, category: impl Into<String>) -> Self {
        self.request.category = Some(category.into());
        self
    }

    /// Sets the number of streams that one call requests, 1 to 1,000; the default is 1,000.
    #[must_use]
    pub fn page_size(mut self, streams: u32) -> Self {
        self.request.page_size = streams;
        self
    }

    /// Starts the list. It requests the next page after the last stream of a page was taken.
    #[must_use]
    pub fn start(self) -> StreamSummaries {
        let pages = stream::try_unfold(Some(self), |call| async move {
            let Some(call) = call else {
                return Ok(None);
            };
            let page = call
                .session
                .ask(call.request.clone(), |session, request| async move {
                    session.calls().list_streams(request).await
                });
            let page = page.await?;
            let streams = page.streams.into_iter().map(read::summary);
            let streams = streams.collect::<Result<Vec<_>, _>>()?;
            let next = (!page.next_page_token.is_empty()).then(|| {
                let mut next = call;
                next.request.page_token = page.next_page_token;
                next
            });
            Ok::<_, ClientError>(Some((stream::iter(streams.into_iter().map(Ok)), next)))
        });
        StreamSummaries(pages.try_flatten().boxed())
    }
}

/// The streams of all pages of a list.
pub struct StreamSummaries(BoxStream<'static, Result<StreamSummary, ClientError>>);

impl StreamSummaries {
    /// Returns the next stream; `None` at the end. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<StreamSummary, ClientError>> {
        self.0.next().await
    }
}

impl Stream for StreamSummaries {
    type Item = Result<StreamSummary, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(context)
    }
}

impl fmt::Debug for StreamSummaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamSummaries").finish_non_exhaustive()
    }
}
