-- One statement for a whole batch: the driver pays per statement, not per row.
-- ?1: [[position, stream, version, id, name, schema_version, content_type, data, metadata, tags, recorded_at], …]
-- Data of other content types than JSON come as hexadecimal digits.
insert into factum_event (
    position, stream, version, id, name, schema_version, content_type, data, metadata, tags, recorded_at
)
select value ->> 0,
       value ->> 1,
       value ->> 2,
       value ->> 3,
       value ->> 4,
       value ->> 5,
       value ->> 6,
       iif(value ->> 6 is null, value ->> 7, unhex(value ->> 7)),
       value ->> 8,
       value ->> 9,
       value ->> 10
from json_each(?1)
