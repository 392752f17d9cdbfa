select version, position, schema_version, data
from factum_snapshot
where stream = ?1
