"""What is said and when. Pure: no I/O, no clock, no database; only the standard library.

vocabulary.py     states, events, effects and facts, as frozen dataclasses
orders.py         the same, of what staff order
table.py          what a dialog is made of
recovery.py       the recovery table: state, event, next state, effects
staff.py          the staff table
mobile_change.py  the table of a change of registered mobile
machine.py        one step of a table, and its drawing
understanding.py  what a text is evidence of, and what it asks for
rules.py          the order of evidence: a table, read from the top
commands.py       texts that say one thing and nothing else, and plain refusals
reading.py        a text taken apart: words, numbers, language
words.py          the vocabulary, from the language files
slips.py          slips of the finger, and words run together
offers.py         a password of one's own, and the code before it
numbers.py        which run of digits is an ID, which a code
listen.py         a text's meaning and the facts make exactly one event
ordering.py       the same, of a staff member's text
text.py           folding of what people type, and the national ID
phrases.py        what the bot says, in the words of languages/*.toml
segments.py       how many texts a text makes on the air
"""
