-- Returns the tables of the schema that the role cannot use, with the missing privileges; and whether the policies of
-- row-level security hide rows of them.
select t.name,
       current_user::text as role,
       array_to_string(array(
           select p.name
           from unnest(t.privileges) p (name)
           where not has_table_privilege(t.name, p.name)
       ), ', ') as missing,
       row_security_active(t.name) as hides_rows
from (
    values ('head', array['select', 'update']),
           ('stream', array['select', 'insert']),
           ('event', array['select', 'insert']),
           ('tag', array['select', 'insert']),
           ('idempotency', array['select', 'insert']),
           ('snapshot', array['select', 'insert', 'update', 'delete']),
           ('document', array['select', 'insert', 'update', 'delete'])
) t (name, privileges)
where row_security_active(t.name) or exists (
    select from unnest(t.privileges) p (name) where not has_table_privilege(t.name, p.name)
)
union all
select 'revision', current_user::text, 'usage', false
where not has_sequence_privilege('revision', 'usage')
