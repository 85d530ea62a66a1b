-- Role, databases and settings for Ramz, as flask deploy postgresql prints them. Run as PostgreSQL's superuser:
--   ramz deploy postgresql | sudo -u postgres psql --set ON_ERROR_STOP=1
-- It may be run again. A host that is not the database's own needs a line in pg_hba.conf, too, for both databases:
--   hostssl [[ database ]],[[ check ]] [[ role ]] 10.0.0.0/24 scram-sha-256

SELECT format('CREATE ROLE %I LOGIN', [[ role | literal ]])
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = [[ role | literal ]]) \gexec
ALTER ROLE [[ role | name ]] LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
[% if verifier %]
-- What PostgreSQL itself would keep of the password (SCRAM): the password is not in it.
ALTER ROLE [[ role | name ]] PASSWORD [[ verifier | literal ]];
[% endif %]

-- The service's, and one that each backup is restored into, to see that it can be.
[% for each in (database, check) %]
SELECT format('CREATE DATABASE %I OWNER %I ENCODING ''UTF8'' TEMPLATE template0', [[ each | literal ]], [[ role | literal ]])
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = [[ each | literal ]]) \gexec
REVOKE CONNECT ON DATABASE [[ each | name ]] FROM PUBLIC;
[% endfor %]

-- What is answered 200 is on the disk.
ALTER DATABASE [[ database | name ]] SET synchronous_commit = on;
-- A transaction that its host left open holds everybody up.
ALTER DATABASE [[ database | name ]] SET idle_in_transaction_session_timeout = '10s';
-- A host that is gone without a word: its connections end within half a minute, and so do its locks.
ALTER DATABASE [[ database | name ]] SET tcp_keepalives_idle = 10;
ALTER DATABASE [[ database | name ]] SET tcp_keepalives_interval = 5;
ALTER DATABASE [[ database | name ]] SET tcp_keepalives_count = 4;
[% if timeouts %]
-- PgBouncer in transaction mode passes no connection's own settings on, so the role has them, in seconds: a single read
-- has none else. In pgbouncer.ini: pool_mode = transaction, max_client_conn = [[ hosts * workers * per_process + 20 ]],
-- and a database [[ database ]] that names this server.
[% for name, seconds in timeouts.items() %]
ALTER ROLE [[ role | name ]] IN DATABASE [[ database | name ]] SET [[ name ]] = '[[ seconds ]]s';
[% endfor %]
[% endif %]
[% if listen %]
-- Where the service's hosts find this server. Needs a restart of PostgreSQL.
ALTER SYSTEM SET listen_addresses = [[ ("localhost, " ~ listen) | literal ]];
[% endif %]
-- [[ hosts ]] hosts of [[ workers ]] processes with up to [[ per_process ]] connections each, and some for commands. Needs a restart of PostgreSQL.
ALTER SYSTEM SET max_connections = [[ connections ]];
