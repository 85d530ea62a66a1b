"""What there is to see of a world once all is quiet: in its database, at its providers, in its services' logs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from sqlmodel import SQLModel

from bot.platform.clock import system_clock
from store.tables import (
    AccountRow,
    AuditRow,
    CodeRow,
    InboundMessageRow,
    OutboundMessageRow,
    ResetGrantRow,
    StaffOrderRow,
    WebhookEventRow,
    table,
)
from tests.soak.carriers import Arrived
from tests.soak.doors import Call, Ledger, Told
from tests.soak.hosts import PRELOADED, environment
from tests.soak.load import LOGIN, PASSWORD, SET, own_password
from tests.soak.worlds import Person, World
from tests.support import forked
from tests.support.places import ROOT

TABLES: dict[str, type[SQLModel]] = {
    "heard": InboundMessageRow,
    "messages": OutboundMessageRow,
    "codes": CodeRow,
    "grants": ResetGrantRow,
    "orders": StaffOrderRow,
    "events": WebhookEventRow,
    "audit": AuditRow,
    "accounts": AccountRow,
}
Row = Mapping[str, Any]
# How many people's passwords are tried at the end, and how long the proof of the audit may take.
TRIED, VERIFY_SECONDS = 120, 300.0


@dataclass
class Evidence:
    """All of it. Rows are by their columns' names.

    `logins` has, by mobile, whether each password that its owner has had, or chosen, is good now. `audit_verdict` is
    the exit status of `flask audit verify` and what it said; `exits` the statuses of services that were asked to end.
    """

    now: datetime
    ledger: Ledger = field(default_factory=Ledger)
    arrived: Sequence[Arrived] = ()
    heard: Sequence[Row] = ()
    messages: Sequence[Row] = ()
    codes: Sequence[Row] = ()
    grants: Sequence[Row] = ()
    orders: Sequence[Row] = ()
    events: Sequence[Row] = ()
    audit: Sequence[Row] = ()
    accounts: Sequence[Row] = ()
    logins: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    audit_verdict: tuple[int, str] = (0, "")
    exits: Sequence[int] = ()
    printed: str = ""


def logins(world: World, rng: Random) -> dict[str, dict[str, bool]]:
    """Which of the passwords that people have had are good now, by mobile: of some, and of all who have had several."""
    senders = {text.sender for text in world.ledger.texts}
    people = [who for who in world.people if who.mobile in senders]
    chosen = {call.mobile for call in world.ledger.calls if call.path == SET}
    had = {who: _passwords(world, who, chosen) for who in people}
    several = [who for who, words in had.items() if len(words) > 1]
    others = [who for who, words in had.items() if len(words) == 1]
    picked = [*several, *rng.sample(others, max(0, min(len(others), TRIED - len(several))))]
    return {who.mobile: {word: _is_good(world, who, word) for word in had[who]} for who in picked}


def _passwords(world: World, who: Person, chosen: set[str]) -> list[str]:
    words = {word for text in world.carriers.texts_to(who.mobile) for word in PASSWORD.findall(text.body)}
    return sorted(words | ({own_password(who)} if who.mobile in chosen else set()))


def _is_good(world: World, who: Person, word: str) -> bool:
    answer: Call = world.doors.call(LOGIN, who.mobile, {"national_id": who.national_id, "password": word})
    return bool(answer.said.get("verified"))


def gather(world: World, tried: Mapping[str, Mapping[str, bool]]) -> Evidence:
    """Look at everything, the services being ended."""
    verdict = _verify(world)  # first, since it seals what was written last
    store, found = world.store(), {}
    with store.reading() as connection:
        for name, row in TABLES.items():
            found[name] = [dict(it) for it in connection.execute(table(row).select()).mappings()]
    store.close()
    return Evidence(
        now=system_clock(),
        ledger=world.ledger,
        arrived=list(world.carriers.arrived),
        logins=tried,
        audit_verdict=verdict,
        exits=[status for host in world.hosts for status in host.statuses],
        printed=world.printed,
        **found,
    )


def _verify(world: World) -> tuple[int, str]:
    settings = {name: value for name, value in world.hosts[0].settings.items() if name != PRELOADED}
    done = forked.run("audit", "verify", folder=ROOT, environment=environment(settings), seconds=VERIFY_SECONDS)
    return done.returncode, done.stdout + done.stderr


def receipts_taken(told: Sequence[Told]) -> set[str]:
    """The provider's ids of texts whose delivery was reported, and the report answered."""
    return {it.sid for it in told if it.said == "delivered" and it.status in {200, 204}}
