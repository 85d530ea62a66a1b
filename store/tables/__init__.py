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
polling.py   PollRound, PolledMessage
"""

from store.tables.accounts import AccountRow, MobileChangeRow, StaffRow
from store.tables.audit import AuditHeadRow, AuditKeyRow, AuditRow
from store.tables.base import METADATA, table
from store.tables.codes import CloseReason, CodeRow, ConsoleCodeRow, ConsoleSessionRow, ResetGrantRow, StaffOrderRow
from store.tables.fakher import TokenRow, WebhookEventRow
from store.tables.inbound import ConversationRow, InboundMessageRow
from store.tables.outbound import (
    FINAL,
    CircuitBreakerRow,
    DeliveryStatus,
    MessageKind,
    OutboundMessageRow,
    SimulatedMessageRow,
)
from store.tables.polling import PolledMessage, PollRound
from store.tables.service import HeartbeatRow, RateLimitRow, SeasonRow
from store.tables.stats import CounterRow, DeliveryStatRow, LateReceiptRow, StatsPeriodRow

__all__ = [
    "FINAL",
    "METADATA",
    "AccountRow",
    "AuditHeadRow",
    "AuditKeyRow",
    "AuditRow",
    "CircuitBreakerRow",
    "CloseReason",
    "CodeRow",
    "ConsoleCodeRow",
    "ConsoleSessionRow",
    "ConversationRow",
    "CounterRow",
    "DeliveryStatRow",
    "DeliveryStatus",
    "HeartbeatRow",
    "InboundMessageRow",
    "LateReceiptRow",
    "MessageKind",
    "MobileChangeRow",
    "OutboundMessageRow",
    "PollRound",
    "PolledMessage",
    "RateLimitRow",
    "ResetGrantRow",
    "SeasonRow",
    "SimulatedMessageRow",
    "StaffOrderRow",
    "StaffRow",
    "StatsPeriodRow",
    "TokenRow",
    "WebhookEventRow",
    "table",
]
