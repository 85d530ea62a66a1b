"""What happens to accounts, and to who works on them.

csv_import.py       the import of accounts from a CSV file, row by row
csv_records.py      the file's records, as RFC 4180 and spreadsheets write them
csv_header.py       what its columns are, and what kind of file is none
csv_columns.py      what the columns are called, by whoever made the list
csv_cells.py        what a cell says, however it was typed
csv_mobiles.py      registered mobiles that an import is told to change
csv_passwords.py    passwords that an import brings
csv_rejects.py      the rows that were not taken, put aside with their reason
password_change.py  a password becomes another: it is set, notice is given, Fakher is told
mobile_change.py    changes of a registered mobile, as their table says
alarms.py           what wakes operators: a line in the log, and a count
lockout.py          what wrong codes lead to: a code burned, an account or a staff member locked
staff_entry.py      what is written of a staff member, checked
staff_changes.py    staff taken on and removed by headquarters, each confirmed by a code
staff_removal.py    the end of a staff member's work
console_login.py    logs staff in to the console: codes, sessions, limits
"""
