"""What pages and reports read: no statement here changes anything.

account_history.py  one account's codes, texts and orders, for staff
daily_stats.py      how much was done since a time, for STATS
delivery_stats.py   what counts as what at the control points, counted out of the texts
text_list.py        the texts behind a number of the figures
phone_debug.py      the rows behind one phone, for the simulator's page
"""
