-- Returns the properties of the server, the database and the session that a store depends on.
select current_setting('server_version_num')::int as version_number,
       current_setting('server_version')          as version,
       current_database()::text                   as database,
       getdatabaseencoding()::text                as encoding,
       pg_is_in_recovery()                        as is_standby,
       current_setting('transaction_read_only') = 'on' as is_read_only,
       current_setting('fsync') = 'off'           as is_unsafe,
       pg_backend_pid()                           as process
