-- Rejects an event id that is stored already; the name is part of the code. Version 1 accepted an id more than once: if one
-- was, only newer events are checked.
do $$
declare
    last bigint;
begin
    if exists (select 1 from event group by id having count(*) > 1) then
        select h.position into last from head h;
        execute format('create unique index event_id on event (id) where position > %s', last);
    else
        create unique index event_id on event (id);
    end if;
end
$$;
