"""The tables, as SQLModel classes. Whoever reads one imports it from here.

base.py      what they have in common
people.py    Account, Staff, MobileChange
codes.py     Code, Ticket, Confirmation, ConsoleCode, ConsoleSession; Fate
talk.py      Conversation, Inbox
outgoing.py  Outbox, Breaker, Handset; Kind, Rank
fakher.py    Token, Announcement
audit.py     Audit, AuditHead, AuditKey
measures.py  Span, Measure, Late, Occurrence
running.py   Season, Rate, Heartbeat
"""

from store.tables.audit import Audit, AuditHead, AuditKey
from store.tables.base import METADATA, table
from store.tables.codes import Code, Confirmation, ConsoleCode, ConsoleSession, Fate, Ticket
from store.tables.fakher import Announcement, Token
from store.tables.measures import Late, Measure, Occurrence, Span
from store.tables.outgoing import FINAL, Breaker, Handset, Kind, Outbox, Rank
from store.tables.people import Account, MobileChange, Staff
from store.tables.running import Heartbeat, Rate, Season
from store.tables.talk import Conversation, Inbox

__all__ = [
    "FINAL",
    "METADATA",
    "Account",
    "Announcement",
    "Audit",
    "AuditHead",
    "AuditKey",
    "Breaker",
    "Code",
    "Confirmation",
    "ConsoleCode",
    "ConsoleSession",
    "Conversation",
    "Fate",
    "Handset",
    "Heartbeat",
    "Inbox",
    "Kind",
    "Late",
    "Measure",
    "MobileChange",
    "Occurrence",
    "Outbox",
    "Rank",
    "Rate",
    "Season",
    "Span",
    "Staff",
    "Ticket",
    "Token",
    "table",
]
