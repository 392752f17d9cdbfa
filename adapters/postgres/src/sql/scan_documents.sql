-- Finds at most $4 documents whose keys start with $1 and are after $3. The last one is that with which their values have
-- $5 bytes.
--
-- $2 is the first key after all keys with that prefix, or null if there is none. Null is replaced by a text that is
-- greater than every key, because it has more characters than a key can have. Both bounds are index conditions in every
-- plan.
select key, revision, value
from (
    select key, revision, value,
           coalesce(sum(octet_length(value)) over (order by key rows between unbounded preceding and 1 preceding), 0)
               as bytes_before
    from (
        select key, revision, value
        from document
        where key >= $1 and key > $3 and key < coalesce($2, repeat(chr(1114111), 257))
        order by key
        limit $4
    ) found
) page
where bytes_before < $5
order by key
