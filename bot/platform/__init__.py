"""What the machine and a few libraries give, each by one module: nothing here knows what the bot does.

version.py        which release this is
log.py            JSON lines, without numbers, IDs, texts or secrets (structlog)
clock.py          the system's clock, Tehran's day, and its dates in three calendars
random_source.py  the operating system's random source
processes.py      which processes of this host have ended
phone_numbers.py  which numbers are mobiles that may be texted (phonenumbers)
csv_export.py     CSV that spreadsheets open safely
http_client.py    HTTP calls to providers and to Fakher: bounded, verified, never redirected or logged (urllib3)
"""
