-- Finds the positions of the events that have all tags of one list of the argument, such as
-- [["course:math", "student:ada"], …]. The index finds the events with the first tag of a list; the others are checked.
select first.position
from json_each(?) list
cross join factum_tag first on first.tag = list.value ->> 0
where not exists (
    select 1
    from json_each(list.value) other
    where not exists (
        select 1 from factum_tag t where t.tag = other.value and t.position = first.position
    )
)
