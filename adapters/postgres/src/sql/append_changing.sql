-- `append_all`, and then the changes of documents that belong to the appends it stored. $18: by change, the append;
-- $19 to $22: what `must_change` takes.
with judged as materialized (
    select *
    from append_all($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) with ordinality
),
changed as materialized (
    select must_change(array_agg(c.key), array_agg(c.required), array_agg(c.value), array_agg(c.kept)) as revision
    from unnest($18::int[], $19::text[], $20::bigint[], $21::text[], $22::boolean[]) c (append, key, required, value, kept)
    join judged j on j.ordinality = c.append and j.outcome = 'stored'
    having count(*) > 0
)
select j.*, (select revision from changed) as revision
from judged j
order by j.ordinality
