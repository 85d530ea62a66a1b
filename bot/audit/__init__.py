"""Who did or tried what. Nobody changes a row, and a test of the chain shows it.

rows.py        the rows as a table for spreadsheets
trail.py       writes rows, each with a keyed hash of what it says
hash_chain.py  seals the rows into a chain, and proves it
known_keys.py  whether the database knows the keys that would write and prove it
"""
