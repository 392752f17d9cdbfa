-- The documents whose keys begin with $1, and so lie ahead of $2 (null: nothing does), behind $3, at most $4. Whatever the
-- plan, both ends are conditions of the index: no key is as long as the text that stands for the end of all.
select key, revision, value
from document
where key >= $1 and key > $3 and key < coalesce($2, repeat(chr(1114111), 257))
order by key
limit $4
