-- The positions of the events that carry all tags of one of the arrays in ? = [["course:math", "student:ada"], …]:
-- those that carry its first tag and lack none of it.
select first.position
from json_each(?) wanted
cross join factum_tag first on first.tag = wanted.value ->> 0
where not exists (
    select 1
    from json_each(wanted.value) other
    where not exists (
        select 1 from factum_tag t where t.tag = other.value and t.position = first.position
    )
)
