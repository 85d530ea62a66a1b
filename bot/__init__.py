"""What is done: texts heard and sent, jobs, gateways, commands. The dialog decides, the store keeps.

Each line knows only lines above it; a test holds that.

ports.py      clock, random source and gateway, as the rest sees them
platform/     what the machine and a few libraries give: clock, randomness, log, HTTP, phone numbers
profiles/     providers with an HTTP API, described by a file each
settings/     the one reader of the environment
credentials/  codes, passwords and bearer secrets: made, hashed, compared
audit/        who did or tried what: rows with a keyed hash each, sealed into a chain
parts.py      what every service works with, as one
simulation/   a trial's people, its clock and its carrier's faults
gateways/     one module per provider, each owning it both ways
sending/      one text sent: claimed, rate-limited, failed over, and what its receipt says
accounts/     what happens to accounts: imported, locked, a password or a mobile changed; and to staff: added,
              removed, logged in to the console
inbound/      one text heard: one transaction, all its effects
fakher/       what Fakher asks, and what it is told
reports/      both control points: counted, summed, shown
jobs.py       what every process runs at intervals (APScheduler)
build.py      the one place where the real parts are chosen
cli/          the operator's commands, one module per noun
"""
