"""How long rows are kept, each with its reason. `forget_old` of each noun drops what is older."""

from datetime import timedelta

# The season's report compares a season with the one before it; lunar seasons move by 11 days a year.
REPORTED = timedelta(days=400)
# A provider that calls again does so within hours, one that was restored from a backup within days.
HEARD_MESSAGES = timedelta(days=30)
# A phone that has been silent so long begins anew. One that has opted out is remembered for ever.
CONVERSATIONS = timedelta(days=30)
# Codes for the console and its sessions: the audit keeps who was let in.
CONSOLE = timedelta(days=30)
# A browser in which nobody has logged in for so long is a stranger again.
BROWSERS = timedelta(days=90)
# What the simulated carrier delivered: a trial's phones show a day.
SIMULATED_MESSAGES = timedelta(days=1)
# A limit's window is an hour at most.
RATE_LIMITS = timedelta(hours=1)
