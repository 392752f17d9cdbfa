-- Finds the documents whose keys are in the JSON array ?1.
select key, revision, value
from factum_document
where key in (select value from json_each(?1))
