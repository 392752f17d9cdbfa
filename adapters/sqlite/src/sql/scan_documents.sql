-- The documents whose keys begin with ?1, and so lie ahead of ?2 (null: nothing does), behind ?3, at most ?4. Both ends are
-- terms of the index, of which it takes one each: a blob is behind every text. The limit is in a query of its own: as a bare
-- parameter it makes SQLite prepare the statement anew for each value.
select key, revision, value
from factum_document
where key >= max(?1, ?3) and key <> ?3 and key < coalesce(?2, x'')
order by key
limit (select ?4)
