"""What proves who somebody is: made here, kept only as a hash, compared in constant time.

keyring.py          what is derived from SECRET_KEYS, and the encryption of unsent texts
one_time_codes.py   one-time passwords of every purpose, and the one verdict on them
passwords.py        passwords and their hashes (argon2)
password_policy.py  what a password of one's own must be
bearer.py           bearer secrets: tickets, tokens, sessions
"""
