"""What is remembered: tables, and one module per noun with the statements that read and change it.

database/              engine, dialects, times and migrations' machinery
tables/                the tables, as SQLModel classes, by kind of noun
migrations/            how the tables came to be (Alembic)
retention.py           how long rows are kept
expiry.py              what is kept how long, and why; deletes what is older
erasure.py             a person erased, everywhere but in the audit
views/                 what pages and reports read
accounts.py            the holders of accounts
codes.py               one-time passwords of every purpose: issue, try, close
reset_grants.py        the right to choose a password at Fakher, that a right code gives
staff.py               who may order by text
staff_orders.py        what they order, and whether it was done
mobile_changes.py      changes of registered mobiles
console_sessions.py    sessions at the console, and the browsers known to it
tokens.py              Fakher's bearer tokens
rate_limits.py         how many calls in a minute or an hour
conversations.py       where each phone's dialog stands, and what the dialog must know
inbound_messages.py    the texts already heard, by their provider's id
polling/               what providers are asked for, and what they gave
outbound_messages.py   the texts to be sent, from queued to delivered
stats_periods.py       what was counted at the control points, kept by hours and days
webhook_events.py      what Fakher is told, until it has taken it
service/               its season, its jobs, its gateways' health, its counts and its keys
audit.py               what was done, by whom: rows that nobody changes
simulated_messages.py  what the simulated carrier delivered
"""
