"""The console: pages for staff, without any script.

login.py        how staff log in, and its routes
status.py       the present state: texts that wait, jobs, gateways
figures.py      both control points, as a page and as a file
search.py       one account's recovery
audit_trail.py  the audit, for headquarters
files.py        the audit and one account's story, as CSV
staff_page.py   staff, for headquarters: taken on and removed, each by a code
charts.py       bars, waterfalls and funnels, drawn as SVG
formatting.py   numbers, days and words, in the page's language
"""
