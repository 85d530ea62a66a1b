"""What is done: texts heard and sent, jobs, gateways, commands. The dialog decides, the store keeps.

Each line knows only lines above it; a test holds that.

version.py        which release this is
log.py            JSON lines without anyone's particulars
ports.py          clock, random source and gateway, as the rest sees them
clock.py          the system's clock, Tehran's day, and its dates in three calendars
random_source.py  the operating system's random source
phone_numbers.py  which numbers are mobiles that may be texted (phonenumbers)
csv_export.py     CSV that spreadsheets open safely
profiles/         providers with an HTTP API, described by a file each
settings.py       the one reader of the environment
credentials/      codes, passwords and bearer secrets: made, hashed, compared
audit/            who did or tried what: rows with a keyed hash each, sealed into a chain
parts.py          what every service works with, as one
simulation/       a trial's people, its clock and its carrier's faults
gateways/         one module per provider, each owning it both ways
sending/          one text sent: claimed, rate-limited, failed over, and what its receipt says
accounts/         what happens to accounts: imported, locked, a password or a mobile changed; staff removed
inbound/          one text heard: one transaction, all its effects
fakher/           what Fakher asks, and what it is told
reports/          both control points: counted, summed, shown
console_login.py  logs staff in to the console: codes, sessions, limits
jobs.py           what every process runs at intervals (APScheduler)
build.py          the one place where the real parts are chosen
cli/              the operator's commands, one module per noun
"""
