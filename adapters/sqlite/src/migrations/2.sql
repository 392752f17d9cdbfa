-- An id without `-` is a category as a whole. Event ids are stored as bytes, and each is stored once.
--
-- Both tables are copied, because SQLite cannot change a column. With the old form of `alter table`, views that use the
-- tables do not matter.
pragma legacy_alter_table = on;
drop view events;

create table factum_stream_2 (
    key      integer primary key,  -- finds the id of an event's stream
    id       text not null unique, -- finds a stream, and rejects a second key for the same id
    category text not null generated always as (
        case instr(id, '-') when 0 then id else substr(id, 1, instr(id, '-') - 1) end
    ) virtual
);
insert into factum_stream_2 (key, id) select key, id from factum_stream order by key;
drop table factum_stream;
alter table factum_stream_2 rename to factum_stream;

-- Positions are assigned by the writer, without gaps and in commit order. JSON data is stored as text, data of other
-- content types as a blob.
create table factum_event_2 (
    position       integer primary key, -- pages of all events are read in this order
    stream         integer not null references factum_stream (key),
    version        integer not null,
    id             blob not null,       -- a UUID
    name           text not null,
    schema_version integer not null,
    content_type   text,                -- null: application/json
    data           not null,
    metadata       text not null,
    tags           text,                -- a JSON array; null: no tags
    recorded_at    integer not null,    -- microseconds since 1970-01-01T00:00:00Z
    starts_id_run  integer not null     -- 0: the event before has the previous id, and is of the same append; else 1
);
-- Version 1 accepted an id more than once. Only its first event is indexed.
insert into factum_event_2
select position, stream, version, unhex(id, '-'), name, schema_version, content_type, data, metadata, tags, recorded_at,
       row_number() over (partition by id order by position) = 1
from factum_event
order by position;
drop table factum_event;
alter table factum_event_2 rename to factum_event;

-- Finds the events of a stream by version, and rejects a version that exists, even if the writer's cache is wrong.
create unique index factum_event_by_stream on factum_event (stream, version);

-- Finds an event id, to reject a second event with it. The events of one append usually have consecutive ids, so an
-- index of the first ones is enough. An index of all ids would add 12 % to the processor time of an append of 64 events.
create unique index factum_event_by_id on factum_event (id) where starts_id_run;

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
       substr(lower(hex(e.id)), 1, 8) || '-' || substr(lower(hex(e.id)), 9, 4) || '-' || substr(lower(hex(e.id)), 13, 4)
           || '-' || substr(lower(hex(e.id)), 17, 4) || '-' || substr(lower(hex(e.id)), 21) as id
from factum_event e
join factum_stream s on s.key = e.stream;
pragma legacy_alter_table = off;
