"""What is kept how long, and why: a rule for each sort of rows. Rows whose time is over are deleted, a batch at a time.

What a rule would drop is counted by the same condition that drops it, so a dry run tells what the next run does.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select, tuple_

from store import (
    codes,
    console_sessions,
    conversations,
    inbound_messages,
    mobile_changes,
    outbound_messages,
    rate_limits,
    reset_grants,
    simulated_messages,
    staff_orders,
    stats_periods,
    webhook_events,
)
from store.database.engine import Store
from store.polling import polled_messages
from store.retention import BROWSERS, CONSOLE, CONVERSATIONS, FETCHED, RATE_LIMITS, SIMULATED_MESSAGES, Retention
from store.tables import METADATA

# So many rows go in one transaction: nobody waits for long, and no log of the database grows with them.
BATCH = 2_000

IsOld = Callable[[datetime], ColumnElement[bool]]
Span = Callable[[Retention], timedelta]


@dataclass(frozen=True)
class RetentionRule:
    """What becomes of some tables' rows. `span` and `is_old` are None for what nothing drops by its age.

    `setting` is what an operator may choose it by, empty where it is fixed. Each of `tables` has its `is_old`.
    """

    tables: tuple[str, ...]
    what: str
    reason: str
    span: Span | None = None
    is_old: tuple[IsOld, ...] = ()
    setting: str = ""

    def conditions(self, now: datetime, retention: Retention) -> Iterable[tuple[Table, ColumnElement[bool]]]:
        """Each table whose rows go, and which of them."""
        if self.span is None:
            return []
        before = now - self.span(retention)
        return [(METADATA.tables[name], is_old(before)) for name, is_old in zip(self.tables, self.is_old, strict=True)]


CARD = "process card: the season is measured to its end, and compared with the one before; lunar years are 354 days"
NO_LONGER = "law: Electronic Commerce Act 2003, art. 59 (b), no more and no longer than the purpose needs"

RULES: tuple[RetentionRule, ...] = (
    RetentionRule(
        ("code", "reset_grant", "staff_order", "mobile_change", "outbound_message", "webhook_event"),
        "recoveries: codes, tickets, orders of staff, changes of mobile, texts sent, events for Fakher",
        CARD,
        lambda retention: retention.recoveries,
        (
            codes.is_old,
            reset_grants.is_old,
            staff_orders.is_old,
            mobile_changes.is_old,
            outbound_messages.is_old,
            webhook_events.is_old,
        ),
        "KEEP_RECOVERIES_DAYS",
    ),
    RetentionRule(
        ("inbound_message",),
        "ids of texts heard, never their words or senders",
        "a provider's call that was captured can be sent again until the provider's secret is changed, once a year",
        lambda retention: retention.heard,
        (inbound_messages.is_old,),
        "KEEP_HEARD_DAYS",
    ),
    RetentionRule(
        ("delivery_stat", "stats_period"),
        "figures of both control points, by day, province and gateway: numbers of nobody",
        "process card: seasons are compared, five of them and more",
        lambda retention: retention.figures,
        (stats_periods.is_old_count, stats_periods.is_old_period),
        "KEEP_FIGURES_DAYS",
    ),
    RetentionRule(
        ("conversation",),
        "where the dialog with a phone stands; after STOP, that it wants no texts, for ever",
        f"{NO_LONGER}; a STOP holds until START",
        lambda _: CONVERSATIONS,
        (conversations.is_old,),
    ),
    RetentionRule(
        ("console_session", "code"),
        "sessions at the console, and codes for it",
        f"{NO_LONGER}; the audit keeps who was let in",
        lambda _: CONSOLE,
        (console_sessions.is_old, codes.is_old_of_console),
    ),
    RetentionRule(
        ("console_browser",),
        "browsers in which staff have logged in to the console, by a keyed hash",
        f"{NO_LONGER}; one in which nobody logs in any more is a stranger's again",
        lambda _: BROWSERS,
        (console_sessions.is_old_browser,),
    ),
    RetentionRule(
        ("polled_message",),
        "texts fetched from a provider and not yet heard, encrypted; gone once heard",
        NO_LONGER,
        lambda _: FETCHED,
        (polled_messages.is_old,),
    ),
    RetentionRule(
        ("simulated_message",),
        "texts of the simulated carrier, encrypted; a trial's only",
        NO_LONGER,
        lambda _: SIMULATED_MESSAGES,
        (simulated_messages.is_old,),
    ),
    RetentionRule(
        ("rate_limit",),
        "calls in a minute or an hour",
        NO_LONGER,
        lambda _: RATE_LIMITS,
        (rate_limits.is_old,),
    ),
    RetentionRule(
        ("audit", "audit_head", "audit_key"),
        "who did or tried what, masked",
        "ASVS 16.2: a chain that loses rows proves nothing",
    ),
    RetentionRule(
        ("account",),
        "holders of accounts",
        "process card: they are whom the process serves; law: art. 59 (e), erased on request, flask accounts forget",
    ),
    RetentionRule(("staff",), "staff, also those removed", "the audit names them by their place here"),
    RetentionRule(("token",), "Fakher's tokens, hashed, also those revoked", "the audit names them"),
    RetentionRule(
        ("season", "counter", "heartbeat", "circuit_breaker", "poll_round", "late_receipt", "key_check", "send_share"),
        "what the service knows of itself",
        "of nobody, and never more than a few rows",
    ),
)


def due(connection: Connection, now: datetime, retention: Retention) -> list[tuple[RetentionRule, dict[str, int]]]:
    """Every rule, with how many rows of each of its tables the next run drops."""
    return [
        (rule, {of.name: _number(connection, of, is_old) for of, is_old in rule.conditions(now, retention)})
        for rule in RULES
    ]


def _number(connection: Connection, table: Table, is_old: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).select_from(table).where(is_old)).scalar_one()


def drop(store: Store, now: datetime, retention: Retention, batch: int = BATCH) -> int:
    """Drop what is over; how many rows that were. Rows that a transaction holds are left for the next run."""
    return sum(
        _drop(store, table, is_old, batch) for rule in RULES for table, is_old in rule.conditions(now, retention)
    )


def _drop(store: Store, table: Table, is_old: ColumnElement[bool], batch: int) -> int:
    key = tuple_(*table.primary_key) if len(table.primary_key) > 1 else next(iter(table.primary_key))
    # Two that drop, or one that drops and one that counts a call, must not wait for each other. Should PostgreSQL drop
    # more than a batch at once, no harm is done; and of a DELETE that begins with WITH, sqlite3 counts no rows.
    some = select(*table.primary_key).where(is_old).limit(batch).with_for_update(skip_locked=True)
    whole = 0
    while True:
        with store.writing() as connection:
            dropped = connection.execute(delete(table).where(key.in_(some))).rowcount
        whole += dropped
        if dropped < batch:
            return whole
