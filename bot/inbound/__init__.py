"""One text heard: prepare, decide, apply. Read handler.py first.

handler.py        the loop: view, need, prepare, and the one transaction
context.py        one text on its way through it
staff_context.py  what is known of a staff member who texts
facts.py          what the dialog is told
effects.py        each effect of the tables, done: rows, and texts to be sent
staff_effects.py  the same, for the staff table's
polling.py        asks providers for texts and receipts that they don't call us with
send_code.py      a one-time password to a registered mobile: its row and its text
"""
