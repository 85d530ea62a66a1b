"""One way in to two databases, SQLite and PostgreSQL.

times.py    aware UTC times, as both keep them
engine.py   the engine, and how reading and writing begin and end
dialect.py  what the two spell apart, and statements prepared for the hot path
migrate.py  brings a database to the newest schema
"""
