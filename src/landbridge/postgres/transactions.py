"""Transactions open at a server, as SQL that is part of larger questions.

Every query may be asked as `SELECT ... FROM ({QUERY}) t`; ages are in seconds by the
server's clock. No query text is ever read.
"""

from __future__ import annotations

from psycopg import sql

#: Client sessions with a transaction open, other than the asking one: pid, user, database,
#: application, state, age_seconds (of the transaction), idle_seconds (since the state changed),
#: started, query_start, writes (whether it has a transaction id).
OPEN = sql.SQL("""
    SELECT pid, usename::text AS "user", datname::text AS database,
           application_name AS application, state,
           extract(epoch FROM clock_timestamp() - xact_start)::float8 AS age_seconds,
           extract(epoch FROM clock_timestamp() - state_change)::float8 AS idle_seconds,
           xact_start::text AS started, query_start::text AS query_start,
           backend_xid IS NOT NULL AS writes
      FROM pg_stat_activity
     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
       AND xact_start IS NOT NULL AND state IS NOT NULL
""")

#: Prepared transactions: gid, owner, database, age_seconds.
PREPARED = sql.SQL("""
    SELECT gid, owner::text, database::text,
           extract(epoch FROM clock_timestamp() - prepared)::float8 AS age_seconds
      FROM pg_prepared_xacts
""")

#: The number of client sessions that are not ours.
SESSIONS = sql.SQL("""
    SELECT count(*) FROM pg_stat_activity
     WHERE backend_type = 'client backend' AND application_name NOT LIKE 'landbridge%'
""")
