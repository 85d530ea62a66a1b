"""What is said and when. Pure: no I/O, no clock, no database; only the standard library.

vocabulary.py     states, events, effects and facts, as frozen dataclasses
recovery.py       the recovery table: state, event, next state, effects
machine.py        one step of a table, and its drawing
understanding.py  what a text asks for, by itself
listen.py         a text's meaning and the facts make exactly one event
text.py           folding of what people type, and the national ID
phrases.py        what the bot says, in the words of languages/*.toml
segments.py       how many texts a text makes on the air
"""
