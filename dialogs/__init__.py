"""What is said and when. Pure: no I/O, no clock, no database; only the standard library.

vocabulary.py        states, events, effects and facts, as frozen dataclasses
staff_vocabulary.py  the same, of what staff order
audit_vocabulary.py  the same, of the audit
limits.py            every limit that no setting changes, with its reason
parsing/             text → what it says by itself
classify.py          what it says and the facts → exactly one event
classify_staff.py    the same, of a staff member's text
tables/              state × event → state, effects
reply_caps.py        how many replies an hour go to one phone
replies/             phrases, and how long they are on the air
languages/*.toml     keywords and phrases, a file a language
"""
