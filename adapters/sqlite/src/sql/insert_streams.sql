-- ?1: [[key, id], …]
insert into factum_stream (key, id)
select value ->> 0, value ->> 1
from json_each(?1)
