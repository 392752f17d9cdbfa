-- Calls `append_all`, then makes the document changes of the appends that it stored.
--
-- $1 to $17: the arguments of `append_all`
-- $18: for each document change, the number of its append
-- $19 to $22: the arguments of `must_change`
with result as materialized (
    select *
    from append_all($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) with ordinality
),
changed as materialized (
    select must_change(array_agg(c.key), array_agg(c.required), array_agg(c.value), array_agg(c.kept)) as revision
    from unnest($18::int[], $19::text[], $20::bigint[], $21::text[], $22::boolean[])
         c (append, key, required, value, kept)
    join result r on r.ordinality = c.append and r.outcome = 'stored'
    having count(*) > 0
)
select r.*, (select revision from changed) as revision
from result r
order by r.ordinality
