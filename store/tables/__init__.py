"""The tables, as SQLModel classes. Other modules import them from here.

base.py      what they have in common
accounts.py  AccountRow, StaffRow, MobileChangeRow
codes.py     CodeRow, StaffOrderRow, ResetGrantRow, ConsoleSessionRow, ConsoleBrowserRow; CloseReason, RequestedBy
inbound.py   ConversationRow, InboundMessageRow
outbound.py  OutboundMessageRow, CircuitBreakerRow, SimulatedMessageRow; MessageKind, DeliveryStatus
fakher.py    TokenRow, WebhookEventRow
audit.py     AuditRow, AuditHeadRow, AuditKeyRow
stats.py     StatsPeriodRow, DeliveryStatRow, LateReceiptRow, CounterRow
service.py   SeasonRow, RateLimitRow, HeartbeatRow, KeyCheckRow, SendShareRow
polling.py   PollRoundRow, PolledMessageRow
"""

from store.tables.accounts import AccountRow, MobileChangeRow, StaffRow
from store.tables.audit import AuditHeadRow, AuditKeyRow, AuditRow
from store.tables.base import METADATA, table
from store.tables.codes import (
    CloseReason,
    CodeRow,
    ConsoleBrowserRow,
    ConsoleSessionRow,
    RequestedBy,
    ResetGrantRow,
    StaffOrderRow,
)
from store.tables.fakher import TokenRow, WebhookEventRow
from store.tables.inbound import ConversationRow, InboundMessageRow
from store.tables.outbound import (
    FINAL,
    PROTECTIVE,
    CircuitBreakerRow,
    DeliveryStatus,
    MessageKind,
    OutboundMessageRow,
    SimulatedMessageRow,
)
from store.tables.polling import PolledMessageRow, PollRoundRow
from store.tables.service import HeartbeatRow, KeyCheckRow, RateLimitRow, SeasonRow, SendShareRow
from store.tables.stats import CounterRow, DeliveryStatRow, LateReceiptRow, StatsPeriodRow

__all__ = [
    "FINAL",
    "METADATA",
    "PROTECTIVE",
    "AccountRow",
    "AuditHeadRow",
    "AuditKeyRow",
    "AuditRow",
    "CircuitBreakerRow",
    "CloseReason",
    "CodeRow",
    "ConsoleBrowserRow",
    "ConsoleSessionRow",
    "ConversationRow",
    "CounterRow",
    "DeliveryStatRow",
    "DeliveryStatus",
    "HeartbeatRow",
    "InboundMessageRow",
    "KeyCheckRow",
    "LateReceiptRow",
    "MessageKind",
    "MobileChangeRow",
    "OutboundMessageRow",
    "PollRoundRow",
    "PolledMessageRow",
    "RateLimitRow",
    "RequestedBy",
    "ResetGrantRow",
    "SeasonRow",
    "SendShareRow",
    "SimulatedMessageRow",
    "StaffOrderRow",
    "StaffRow",
    "StatsPeriodRow",
    "TokenRow",
    "WebhookEventRow",
    "table",
]
