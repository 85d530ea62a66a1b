"""The doing: between what the world sends, what the dialog decides and what the store keeps.

settings.py       the one reader of the environment
ports.py          clock, dice and gateway, as the rest sees them
build.py          the one place where the real parts are chosen
conversation.py   hears one text: one transaction, all its effects
turn.py           one text on its way through that transaction
attempts.py       a code that is handed back, by text or to Fakher
changes.py        what follows when a password becomes another
audit.py          who did or tried what: rows with a keyed hash each
audited.py        which of them a text leaves
audited_staff.py  the same, of a staff member's text
chain.py          seals the audit's rows into a chain, and proves it
letters.py        a text to be sent, as a row of the outbox
facts.py          what the dialog is told
effects.py        what is done: effects become rows, and texts to be sent
issuing.py        a one-time password to a registered mobile: its row and its text
staff.py          what a staff member may order
console.py        lets staff into the console: codes, sessions, limits
staff_effects.py  what is done at their order
mobiles.py        changes of a registered mobile, as their table says
watch.py          tells staff of texts that did not arrive
courier.py        sends what the outbox holds
pace.py           how fast texts leave
flood.py          the flood guard: whether strangers' requests wait
receipts.py       notes how far texts have come; sends a code once more that did not arrive
failover.py       by which gateway a text goes, and whom it passes by
fakher.py         what Fakher asks: codes and passwords
fakher_events.py  tells Fakher of changed passwords (Standard Webhooks)
measuring.py      counts the texts of hours that are over, so that figures are sums
kpi.py            the figures: both control points, codes, errors
periods.py        which days they are asked of
kpi_report.py     the figures on a terminal, and as a CSV's rows
sheets.py         CSV that spreadsheets open safely
jobs.py           what is done again and again (APScheduler)
polling.py        asks providers for texts and receipts that they don't call with
codes.py          one-time passwords: made, sealed, compared
passwords.py      passwords and their hashes (argon2)
policy.py         what a password of one's own must be
bearer.py         tickets and tokens: secrets that whoever holds them may use
dice.py           chance
keys.py           what is derived from SECRET_KEYS, and the sealing of unsent texts
phones.py         telephone numbers (phonenumbers)
calendars.py      Tehran's day, and its dates in three calendars
accounts.py       the import of accounts
gateways/         one module per provider, each owning it both ways
log.py            JSON lines without anyone's particulars
cli/              the operator's commands, one module per noun
demo.py           the people of `make run`
trial.py          its weather: a clock that can be moved on, a carrier that can be bent
"""
