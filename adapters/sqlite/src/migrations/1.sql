-- Stream ids are stored once, so that the index on the events of a stream holds integers instead of texts. This doubles
-- the insert rate.
create table factum_stream (
    key      integer primary key,  -- finds the id of an event's stream
    id       text not null unique, -- finds a stream, and rejects a second key for the same id
    category text not null generated always as (substr(id, 1, instr(id, '-') - 1)) virtual
);

-- Positions are assigned by the writer, without gaps and in commit order. JSON data is stored as text, data of other
-- content types as a blob.
create table factum_event (
    position       integer primary key, -- pages of all events are read in this order
    stream         integer not null references factum_stream (key),
    version        integer not null,
    id             text not null,
    name           text not null,
    schema_version integer not null,
    content_type   text,                -- null: application/json
    data           not null,
    metadata       text not null,
    tags           text,                -- a JSON array; null: no tags
    recorded_at    integer not null     -- microseconds since 1970-01-01T00:00:00Z
);

-- Finds the events of a stream by version, and rejects a version that exists, even if the writer's cache is wrong.
create unique index factum_event_by_stream on factum_event (stream, version);

-- The primary key finds the events with a tag, in the order of their positions.
create table factum_tag (
    tag      text not null,
    position integer not null,
    primary key (tag, position)
) without rowid;

-- The primary key finds the first result of a key, and rejects a second one.
create table factum_idempotency (
    key         text primary key,
    fingerprint blob not null,
    position    integer not null, -- the position of the last event
    count       integer not null,
    recorded_at integer not null
) without rowid;

-- The primary key finds the only snapshot of a stream.
create table factum_snapshot (
    stream         text primary key,
    version        integer not null,
    position       integer not null,
    schema_version integer not null,
    data           blob not null
);

-- The state of the runtime: checkpoints, leases, dead letters, deadlines. The primary key finds documents by key and by
-- prefix.
create table factum_document (
    key      text primary key,
    revision integer not null,
    value    text not null -- JSON
);

-- One row: the last revision that was assigned.
create table factum_revision (
    last integer not null
);
insert into factum_revision (last) values (0);

-- The events in readable form, for ad-hoc queries.
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
