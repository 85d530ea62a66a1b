"""What happens to accounts, and to who works on them.

csv_import.py       the import of accounts from a clerk's file
password_change.py  a password becomes another: it is set, notice is given, Fakher is told
mobile_change.py    changes of a registered mobile, as their table says
lockout.py          what wrong codes lead to: a code burned, an account or a staff member locked
staff_removal.py    the end of a staff member's work
"""
