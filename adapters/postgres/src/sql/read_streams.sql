-- Reads the first events of each stream in $1 after the version in $2, with the current head.
select (select position from head limit 1), w.count, w.packed
from unnest($1::text[], $2::bigint[]) with ordinality r (id, after, n)
cross join lateral (
    select count(*) as count,
           {packed} as packed
    from (
        select e.*, {size} <= {small} as fits
        from event e
        where e.stream = (select s.key from stream s where s.id = r.id) and e.version > r.after
        order by e.version
        limit {limit}
    ) e
) w
order by r.n
