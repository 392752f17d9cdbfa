-- The documents ?1: ["key", …].
select key, revision, value
from factum_document
where key in (select value from json_each(?1))
