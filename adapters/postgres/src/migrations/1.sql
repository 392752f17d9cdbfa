-- One row: the lock that puts appends in order, and what the next append begins with.
create table head (
    position    bigint not null,
    recorded_at bigint not null -- microseconds since 1970-01-01T00:00:00Z
);
insert into head (position, recorded_at) values (0, 0);

-- Stream names are interned: the index that finds a stream's events holds integers, not texts.
create table stream (
    key bigint primary key, -- the position of its first event
    id  text collate "C" not null unique
);

-- Positions are assigned under the lock, gapless and in commit order. JSON data are text, as they came:
-- `jsonb` would change them. Data of other content types are bytes.
create table event (
    position       bigint primary key,
    stream         bigint not null, -- whose key; a foreign key would cost as much as the row
    version        bigint not null,
    id             uuid not null,
    name           text collate "C" not null,
    schema_version bigint not null,
    content_type   text,           -- null: application/json
    data           text,           -- null: in bytes
    bytes          bytea,
    metadata       text not null,
    tags           text,           -- one in each line; null: none
    recorded_at    bigint not null,
    unique (stream, version)
);

-- Finds the events that carry a tag, by position.
create table tag (
    tag      text collate "C" not null,
    position bigint not null,
    primary key (tag, position)
);

-- A key may hold any character, which a text may not.
create table idempotency (
    key         bytea primary key,
    fingerprint uuid not null,
    position    bigint not null, -- of the last event
    count       bigint not null,
    recorded_at bigint not null
);

create table snapshot (
    stream         text collate "C" primary key,
    version        bigint not null,
    position       bigint not null,
    schema_version bigint not null,
    data           bytea not null
);

-- What the runtime keeps beside the events: checkpoints and leases, dead letters, scheduled work.
create table document (
    key      text collate "C" primary key,
    revision bigint not null,
    value    text not null -- JSON
);

-- Never given back: a revision is of one change.
create sequence revision;

-- For people: `select * from events`.
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
