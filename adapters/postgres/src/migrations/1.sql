-- One row. Its lock puts appends in order; its values are where the next append continues.
create table head (
    position    bigint not null,
    recorded_at bigint not null -- microseconds since 1970-01-01T00:00:00Z
);
insert into head (position, recorded_at) values (0, 0);

-- Stream ids are stored once, so that the index on the events of a stream holds integers instead of texts.
create table stream (
    key bigint primary key,              -- the position of the first event; finds the id of an event's stream
    id  text collate "C" not null unique -- finds a stream, and rejects a second key for the same id
);

-- Positions are assigned under the lock of the head, without gaps and in commit order. JSON data is stored as the
-- original text, because `jsonb` would change it. Data of other content types is stored as bytes.
create table event (
    position       bigint primary key, -- pages of all events are read in this order
    stream         bigint not null,    -- the key of the stream; a foreign key would cost as much as the row
    version        bigint not null,
    id             uuid not null,
    name           text collate "C" not null,
    schema_version bigint not null,
    content_type   text,               -- null: application/json
    data           text,               -- null: the data is in `bytes`
    bytes          bytea,
    metadata       text not null,
    tags           text,               -- one in each line; null: no tags
    recorded_at    bigint not null,
    unique (stream, version)           -- finds the events of a stream, and rejects a version that exists
);

-- The primary key finds the events with a tag, in the order of their positions.
create table tag (
    tag      text collate "C" not null,
    position bigint not null,
    primary key (tag, position)
);

-- A key may contain a zero byte, which a text cannot. The primary key finds the first result of a key, and rejects a
-- second one.
create table idempotency (
    key         bytea primary key,
    fingerprint uuid not null,
    position    bigint not null, -- the position of the last event
    count       bigint not null,
    recorded_at bigint not null
);

-- The primary key finds the only snapshot of a stream.
create table snapshot (
    stream         text collate "C" primary key,
    version        bigint not null,
    position       bigint not null,
    schema_version bigint not null,
    data           bytea not null
);

-- The state of the runtime: checkpoints, leases, dead letters, deadlines. The primary key finds documents by key and by
-- prefix; the collation "C" makes a prefix a range of the index.
create table document (
    key      text collate "C" primary key,
    revision bigint not null,
    value    text not null -- JSON
);

-- A revision is assigned once, even if its transaction is rolled back.
create sequence revision;

-- The events in readable form, for ad-hoc queries.
create view events as
select e.position,
       s.id as stream,
       e.version,
       e.name,
       e.schema_version,
       e.data,
       e.metadata,
       string_to_array(e.tags, e'\n') as tags,
       to_timestamp(e.recorded_at / 1e6) as recorded_at,
       e.id
from event e
join stream s on s.key = e.stream;
