-- ?1: [[tag, position], …]; an event may name a tag twice.
insert or ignore into factum_tag (tag, position)
select value ->> 0, value ->> 1
from json_each(?1)
