-- An id without `-` is a category as a whole. A generated column cannot be changed, so the table is copied.
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
