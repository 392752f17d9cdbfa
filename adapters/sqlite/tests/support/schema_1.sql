-- A database with schema version 1, as the first version of the store wrote it.
BEGIN TRANSACTION;
CREATE TABLE factum_document (
    key      text primary key,
    revision integer not null,
    value    text not null
);
INSERT INTO "factum_document" VALUES('note/a',1,'{"seen": 1}');
CREATE TABLE factum_event (
    position       integer primary key,
    stream         integer not null references factum_stream (key),
    version        integer not null,
    id             text not null,
    name           text not null,
    schema_version integer not null,
    content_type   text,
    data           not null,
    metadata       text not null,
    tags           text,
    recorded_at    integer not null
);
INSERT INTO "factum_event" VALUES(1,1,1,'01900000-0000-7000-8000-000000000001','shelf.filled',2,NULL,'{"pieces":5,"weight":0.1}','{"actor":"ada","reason":"first stock-taking; it''s \"due\"","correlation_id":"00000000-0000-0000-0000-000000000007","extra":{"device":{"kind":"scanner","number":4}}}','["piece:bolt","room:cellar é"]',1796049742554707);
INSERT INTO "factum_event" VALUES(2,1,2,'01900000-0000-7000-8000-000000000002','shelf.taken',1,NULL,'{"pieces": 2}','{"actor":"ada","reason":"first stock-taking; it''s \"due\"","correlation_id":"00000000-0000-0000-0000-000000000007","extra":{"device":{"kind":"scanner","number":4}}}',NULL,1796049742554707);
INSERT INTO "factum_event" VALUES(3,2,1,'01900000-0000-7000-8000-000000000003','room.opened',2,NULL,'{}','{"actor":"ada","reason":"first stock-taking; it''s \"due\"","correlation_id":"00000000-0000-0000-0000-000000000007","extra":{"device":{"kind":"scanner","number":4}}}','["piece:bolt"]',1796049742554707);
INSERT INTO "factum_event" VALUES(4,3,1,'01900000-0000-7000-8000-000000000004','shelf.photographed',1,'application/octet-stream',X'000102FF','{}',NULL,1796049742557453);
INSERT INTO "factum_event" VALUES(5,1,3,'01900000-0000-7000-8000-000000000005','shelf.filled',2,NULL,'{"pieces":1}','{}','["piece:nut"]',1796049742560065);
CREATE TABLE factum_idempotency (
    key         text primary key,
    fingerprint blob not null,
    position    integer not null,
    count       integer not null,
    recorded_at integer not null
) without rowid;
INSERT INTO "factum_idempotency" VALUES('request-1',X'B752A7AB0BF452D58E8072F54A8787DA',3,3,1796049742554707);
CREATE TABLE factum_revision (
    last integer not null
);
INSERT INTO "factum_revision" VALUES(2);
CREATE TABLE factum_schema (version integer not null);
INSERT INTO "factum_schema" VALUES(1);
CREATE TABLE factum_snapshot (
    stream         text primary key,
    version        integer not null,
    position       integer not null,
    schema_version integer not null,
    data           blob not null
);
INSERT INTO "factum_snapshot" VALUES('shelf-1',2,2,1,X'7B22706965636573223A337D');
CREATE TABLE factum_stream (
    key      integer primary key,
    id       text not null unique,
    category text not null generated always as (substr(id, 1, instr(id, '-') - 1)) virtual
);
INSERT INTO "factum_stream" VALUES(2,'room-cellar-2');
INSERT INTO "factum_stream" VALUES(1,'shelf-1');
INSERT INTO "factum_stream" VALUES(3,'shelf-2');
CREATE TABLE factum_tag (
    tag      text not null,
    position integer not null,
    primary key (tag, position)
) without rowid;
INSERT INTO "factum_tag" VALUES('piece:bolt',1);
INSERT INTO "factum_tag" VALUES('piece:bolt',3);
INSERT INTO "factum_tag" VALUES('piece:nut',5);
INSERT INTO "factum_tag" VALUES('room:cellar é',1);
CREATE UNIQUE INDEX factum_event_by_stream on factum_event (stream, version);
CREATE VIEW events as
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
COMMIT;
