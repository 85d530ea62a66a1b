"""How long rows are kept: what an operator may choose, and what is fixed. store/expiry.py says why, table by table."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Retention:
    """What an operator may choose (KEEP_…_DAYS)."""

    recoveries: timedelta = timedelta(days=400)
    heard: timedelta = timedelta(days=400)
    figures: timedelta = timedelta(days=2000)


# A phone that has been silent so long begins anew. One that has opted out is remembered for ever.
CONVERSATIONS = timedelta(days=30)
# Codes for the console and its sessions: the audit keeps who was let in.
CONSOLE = timedelta(days=30)
# A browser in which nobody has logged in for so long is new to it again.
BROWSERS = timedelta(days=90)
# A text that was fetched and that nobody could hear.
FETCHED = timedelta(days=1)
# What the simulated carrier delivered: a trial's phones show a day.
SIMULATED_MESSAGES = timedelta(days=1)
# A limit's window is an hour at most.
RATE_LIMITS = timedelta(hours=1)
# A receipt later than this changes no figure: what else its period was counted from may be gone by then. Shorter
# than any choice of Retention.recoveries.
LATEST_RECEIPT = timedelta(days=20)
