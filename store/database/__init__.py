"""One way in to two databases, SQLite and PostgreSQL.

times.py     aware UTC times, as both keep them
engine.py    the engine, and how reading and writing begin and end
prepared.py  statements of the hot path, made once; and how those that need no answer yet go together
dialect.py   what the two spell apart
migrate.py   brings a database to the newest schema
transfer.py  copies one database into another
"""
