"""Two phones in the browser, under the simulated carrier only.

phone.py       the page and what it asks
mobile.py      one mobile on the simulated carrier
diagram.py     the dialog's diagram beside them
transcript.py  what was tried on them, as a test
"""
