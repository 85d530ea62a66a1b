"""The console: pages for staff. The first screen refreshes itself by a script; no page needs one.

login.py        how staff log in, and its routes
overview.py     the first screen: is it working, is it within the minute, where is it worst
status.py       what is wrong now, in words
period.py       which days and province an address asks for, and the form that asks for others
figures.py      both control points by day, province and gateway; codes and errors; as a file
texts.py        the texts behind a number
search.py       one account, by the last digits of its ID or mobile
story.py        what there is to know of one account, in words, and what to do next
audit_trail.py  the audit, for headquarters
files.py        the audit and one account's story, as CSV
staff_page.py   staff, for headquarters: taken on and removed, each by a code
charts.py       bars, waterfalls and funnels, drawn as SVG
formatting.py   numbers, days and words, in the page's language, and tables of them
"""
