"""Text → what it says by itself, before anything is known of its sender.

normalise.py     text as it is compared, whatever handset wrote it; and the national ID
lexicon.py       the words that people use, from the language files
spelling.py      typing mistakes, and words run together
numbers.py       which run of digits is an ID, which a code
numerals.py      numbers spelled in words
tokens.py        a text taken apart: words, numbers, language
own_password.py  a password of one's own beside a code
rules.py         the order of evidence: a table, read from the top
commands.py      texts that say one thing and nothing else, and plain refusals
parse.py         what a text is evidence of, and what it asks for
"""
