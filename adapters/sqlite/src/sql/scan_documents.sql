-- The documents whose keys begin with ?1, and so lie ahead of ?2 (null: nothing does), behind ?3, at most ?4. The limit is in
-- a query of its own: as a bare parameter it makes SQLite prepare the statement anew for each value.
select key, revision, value
from factum_document
where key >= ?1 and key > ?3 and (?2 is null or key < ?2)
order by key
limit (select ?4)
