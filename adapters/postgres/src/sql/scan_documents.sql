-- The documents whose keys begin with $1, and so lie ahead of $2 (null: nothing does), behind $3, at most $4.
select key, revision, value
from document
where key >= $1 and key > $3 and ($2 is null or key < $2)
order by key
limit $4
