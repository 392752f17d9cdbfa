//! [`Known`]: what the writer knows of the database without asking, as long as nobody else writes.

use std::collections::HashMap;

use factum::{Append, Position, StreamId};
use quick_cache::unsync::Cache;
use sqlx::Row as _;
use sqlx::postgres::PgConnection;

use crate::append::{Judged, condition as condition_text};
use crate::error::Fault;
use crate::stream::Stream;

const STREAMS: usize = 65_536;

/// True as long as the head is `head`.
pub(crate) struct Known {
    /// Nobody else wrote lately, so that it is worth while to rely on what is known.
    alone: bool,
    pub(crate) head: Position,
    pub(crate) streams: Cache<StreamId, Stream>,
}

impl Known {
    pub(crate) fn new(head: Position) -> Self {
        Self {
            alone: false,
            head,
            streams: Cache::new(STREAMS),
        }
    }

    /// Whether to judge `appends` here is sooner done than to let the database do it.
    pub(crate) fn is_worth_it(&self, appends: &[&Append]) -> bool {
        let knows = |append: &&Append| {
            let mut streams = append.streams.iter().map(|part| &part.stream);
            streams.all(|stream| self.streams.peek(stream).is_some())
        };
        self.alone && (appends.len() > 2 || appends.iter().all(knows))
    }

    pub(crate) fn is_alone(&self) -> bool {
        self.alone
    }

    /// What the database has judged.
    pub(crate) fn take(&mut self, judged: &Judged) {
        match judged.before == self.head {
            true => self.alone = true,
            false => self.forget(),
        }
        self.head = judged.head;
        for (id, stream) in &judged.streams {
            self.streams.insert(id.clone(), *stream);
        }
    }

    /// Somebody else has written.
    pub(crate) fn forget(&mut self) {
        self.alone = false;
        self.streams.clear();
    }

    /// Where `ids`, each given once, stand. `None`: the head has moved, nothing is known any more.
    pub(crate) async fn learn<'a>(
        &mut self,
        connection: &mut PgConnection,
        ids: &[&'a StreamId],
    ) -> Result<Option<HashMap<&'a StreamId, Stream>>, Fault> {
        let known = |id| self.streams.get(id).copied().unwrap_or(Stream::NONE);
        let mut stands: HashMap<&StreamId, Stream> =
            ids.iter().map(|id| (*id, known(*id))).collect();
        let missing = stands.iter().filter(|(_, stream)| stream.key.is_none());
        let missing: Vec<&str> = missing.map(|(id, _)| id.as_str()).collect();
        if missing.is_empty() {
            return Ok(Some(stands));
        }
        let rows = sqlx::query(include_str!("sql/learn.sql"))
            .bind(&missing)
            .fetch_all(connection)
            .await?;
        for row in rows {
            if row.try_get::<i64, _>("head")? as u64 != self.head.get() {
                self.forget();
                return Ok(None);
            }
            let Some(id) = row.try_get::<Option<&str>, _>("id")? else {
                continue;
            };
            let id: StreamId = id.parse().map_err(Fault::corrupt)?;
            let stream = Stream {
                key: Some(row.try_get("key")?),
                version: row.try_get::<i64, _>("version")? as u64,
            };
            if let Some(stands) = stands.get_mut(&id) {
                *stands = stream;
            }
            self.streams.insert(id, stream);
        }
        Ok(Some(stands))
    }

    /// For each append the newest stored event that violates its condition. `None`: the head has moved, nothing is
    /// known any more.
    pub(crate) async fn newest(
        &mut self,
        connection: &mut PgConnection,
        appends: &[&Append],
    ) -> Result<Option<Vec<Option<Position>>>, Fault> {
        let mut newest = vec![None; appends.len()];
        let behind = |append: &&Append| {
            let condition = append.condition.as_ref()?;
            (condition.after < self.head).then(|| condition_text(condition))
        };
        let asked = appends.iter().map(behind).enumerate();
        let (places, conditions): (Vec<usize>, Vec<String>) = asked
            .filter_map(|(place, condition)| Some((place, condition?)))
            .unzip();
        if places.is_empty() {
            return Ok(Some(newest));
        }
        let rows = sqlx::query(include_str!("sql/newest.sql"))
            .bind(conditions)
            .fetch_all(connection)
            .await?;
        for (row, place) in rows.iter().zip(places) {
            if row.try_get::<i64, _>("head")? as u64 != self.head.get() {
                self.forget();
                return Ok(None);
            }
            let position: Option<i64> = row.try_get("newest")?;
            newest[place] = position.map(|position| Position::new(position as u64));
        }
        Ok(Some(newest))
    }
}
