"""What is remembered: tables, and one module per noun with the statements that read and change it.

engine.py         one engine, two databases: SQLite and PostgreSQL
tables/           the tables, as SQLModel classes, by kind of noun
times.py          aware UTC times, as both databases keep them
accounts.py       the holders of accounts
codes.py          one-time passwords: issue, try, close
staff.py          who may order by text
confirmations.py  orders that wait for their code, and what became of them
mobiles.py        changes of registered mobiles
console.py        who is let into the console: codes and sessions
tally.py          how much was done since a time
tickets.py        the right to choose a password, that a right code gives
tokens.py         Fakher's bearer tokens
rates.py          how many calls in a minute or an hour
conversations.py  where each phone's dialog stands, and what the dialog must know
inbox.py          the texts already heard, by their provider's id
polls.py          when providers are asked, and by whom
polled_messages.py  texts that were fetched and are not yet heard
announcements.py  what Fakher is told, until it has taken it
outbox.py         the texts to be sent, from queued to delivered
audit.py          what was done, by whom: rows that nobody changes
breakers.py       how each gateway fares
occurrences.py    how often things have happened
measures.py       what counts as what at the control points, and what has been counted
seasons.py        when the Umrah operation is on
handset.py        what the simulated carrier delivered
story.py          the story of one recovery, for staff to read
behind.py         what stands behind one phone, for the trial's page to show
heartbeats.py     when each job last ran
dialect.py        what the two databases spell apart, and statements prepared for the hot path
migrate.py        brings a database to the newest schema
migrations/       how the tables came to be (Alembic)
"""
