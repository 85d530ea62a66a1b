"""The console: pages for staff, without any script.

login.py        the door to it, and its routes
status.py       what stands now: what waits, what runs, what is out of order
figures.py      both control points, as a page and as a file
search.py       one account's recovery
audit_trail.py  the audit, for headquarters
charts.py       bars, waterfalls and funnels, drawn as SVG
formatting.py   how they tell numbers, days and words, in the page's language
"""
