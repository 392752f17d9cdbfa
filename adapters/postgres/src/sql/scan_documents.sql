-- Finds at most $4 documents whose keys start with $1 and are after $3.
--
-- $2 is the first key after all keys with that prefix, or null if there is none. Null is replaced by a text that is
-- greater than every key, because it has more characters than a key can have. Both bounds are index conditions in every
-- plan.
select key, revision, value
from document
where key >= $1 and key > $3 and key < coalesce($2, repeat(chr(1114111), 257))
order by key
limit $4
