-- Stream names are interned: the index that finds a stream's events holds integers, not texts, which
-- doubles the rate of inserts.
create table factum_stream (
    key      integer primary key,
    id       text not null unique,
    category text not null generated always as (substr(id, 1, instr(id, '-') - 1)) virtual
);

-- Positions are assigned by the writer, gapless and in commit order. JSON data are text; data of other
-- content types are blobs.
create table factum_event (
    position       integer primary key,
    stream         integer not null references factum_stream (key),
    version        integer not null,
    id             text not null,
    name           text not null,
    schema_version integer not null,
    content_type   text,           -- null: application/json
    data           not null,
    metadata       text not null,
    tags           text,           -- a JSON array; null: none
    recorded_at    integer not null -- microseconds since 1970-01-01T00:00:00Z
);

-- Finds the events of a stream by version, and rejects a version twice whatever the writer believes.
create unique index factum_event_by_stream on factum_event (stream, version);

-- Finds the events that carry a tag, by position.
create table factum_tag (
    tag      text not null,
    position integer not null,
    primary key (tag, position)
) without rowid;

create table factum_idempotency (
    key         text primary key,
    fingerprint blob not null,
    position    integer not null, -- of the last event
    count       integer not null,
    recorded_at integer not null
) without rowid;

create table factum_snapshot (
    stream         text primary key,
    version        integer not null,
    position       integer not null,
    schema_version integer not null,
    data           blob not null
);

-- What the runtime keeps beside the events: checkpoints and leases, dead letters, scheduled work.
create table factum_document (
    key      text primary key,
    revision integer not null,
    value    text not null -- JSON
);

-- One row: the last revision that was given out.
create table factum_revision (
    last integer not null
);
insert into factum_revision (last) values (0);

-- For people: `select * from events`.
create view events as
select e.position,
       s.id as stream,
       e.version,
       e.name,
       e.schema_version,
       e.data,
       e.metadata,
       e.tags,
       strftime('%Y-%m-%dT%H:%M:%fZ', e.recorded_at / 1e6, 'unixepoch') as recorded_at,
       e.id
from factum_event e
join factum_stream s on s.key = e.stream;
