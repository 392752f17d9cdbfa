-- Finds at most ?4 documents whose keys start with ?1 and are after ?3.
--
-- ?2 is the first key after all keys with that prefix, or null if there is none: a blob sorts after every text. SQLite
-- uses one term of the index for each bound, so both bounds are single terms. The limit is a subquery, because SQLite
-- would prepare the statement again for each value of a bare parameter.
select key, revision, value
from factum_document
where key >= max(?1, ?3) and key <> ?3 and key < coalesce(?2, x'')
order by key
limit (select ?4)
