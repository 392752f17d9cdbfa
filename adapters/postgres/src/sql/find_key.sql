-- Finds the first result of the idempotency key $1, with the streams that got events and their versions after the
-- append.
select i.fingerprint, i.position, i.count, i.recorded_at, w.streams, w.versions
from idempotency i
cross join lateral (
    select array_agg(o.id order by o.first) as streams, array_agg(o.version order by o.first) as versions
    from (
        select s.id, max(e.version) as version, min(e.position) as first
        from event e
        join stream s on s.key = e.stream
        where e.position > i.position - i.count and e.position <= i.position
        group by s.id
    ) o
) w
where i.key = $1
