"""What must hold once all is quiet: each a function that says what is wrong, for whoever has to find out why."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from store.tables import FINAL, CloseReason, DeliveryStatus, MessageKind
from tests.soak.doors import NO_ANSWER
from tests.soak.evidence import Evidence, receipts_taken
from tests.soak.load import CODE, PASSWORD, SET, VERIFY

Invariant = Callable[[Evidence], Iterator[str]]
# What a service may answer while it is hurt, and otherwise.
POLITE = {NO_ANSWER, 200, 204, 503}
# A ticket may have been used by a call whose answer was lost.
POLITE_OF_API = POLITE | {410}
# What a gateway's own address answers once the gateway was taken out of the settings.
POLITE_OF_REMOVED = POLITE | {404}
CAN_BE_REMOVED = "kannel"
# Why a text may honestly not have been sent.
HONEST = {"expired", "voided", "cancelled", "burned", "used"}
# What staff are told of their own accord: that a pilgrim's text has not arrived.
UNASKED = "staff_undelivered"
# How long after its time something may still be there: a job's round, on a busy machine.
GRACE = timedelta(seconds=60)
# What is six digits as well: the fraction of a time, a process's id.
NO_CODE = re.compile(r"\d\d:\d\d:\d\d\.\d{6}|pid:\s*\d+")


def texts_are_kept(it: Evidence) -> Iterator[str]:
    """Whatever was answered 200 is known: nothing is lost."""
    heard = {(row["gateway"], row["provider_id"]) for row in it.heard}
    for text in it.ledger.texts:
        if text.answered_at is not None and (text.gateway, text.sid) not in heard:
            yield f"a text of {text.gateway}, {text.sid}, was answered 200 and is not known"


def answers_are_right(it: Evidence) -> Iterator[str]:
    """Nobody is told that the bot is broken, or that a text was refused."""
    posted = [(text.gateway, status) for text in it.ledger.texts for status in text.statuses]
    posted += [(told.gateway, told.status) for told in it.ledger.receipts]
    posted += [("API", call.status) for call in it.ledger.calls]
    polite = {CAN_BE_REMOVED: POLITE_OF_REMOVED, "API": POLITE_OF_API}
    for (door, status), number in Counter(posted).items():
        if status not in polite.get(door, POLITE):
            yield f"{number} calls of {door} were answered {status}"


def every_text_has_its_answer(it: Evidence) -> Iterator[str]:
    """A text that was heard has written just what answers it: one code, one password, one reply."""
    senders = {(text.gateway, text.sid): text.sender for text in it.ledger.texts}
    due: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in it.heard:
        if row["answered"]:
            due[senders.get((row["gateway"], row["provider_id"]), "?")][_answer(row["event"])] += 1
    phones = {row["id"]: row["mobile"] for row in it.accounts}
    for order in it.orders:
        if order["sent_code_id"]:
            due[phones[order["account_id"]]]["CODE"] += 1
    written: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in it.messages:
        if row["kind"] != MessageKind.NOTICE and row["resend_of"] is None and row["phrase"] != UNASKED:
            written[row["phone"]][MessageKind(row["kind"]).name] += 1
    for phone in due.keys() | written.keys():
        if due[phone] != written[phone]:
            yield f"the phone …{phone[-4:]} was due {dict(due[phone])}, and was written {dict(written[phone])}"


def _answer(event: str) -> str:
    kinds = {"asked": "CODE", "reset_ordered": "CODE", "right_code": "PASSWORD"}
    return kinds.get(event, "REPLY")


def every_message_left_or_says_why(it: Evidence) -> Iterator[str]:
    """A text is at its provider, or in a final state with a reason."""
    taken = {(text.gateway, text.sid): text for text in it.arrived}
    for row in it.messages:
        name, status = f"message {row['id']} ({row['phrase']})", DeliveryStatus(row["status"])
        if status is DeliveryStatus.QUEUED:
            yield f"{name} still waits, after {row['attempts']} attempts, error {row['error']}"
        elif status in {DeliveryStatus.DROPPED, DeliveryStatus.FAILED}:
            if row["provider_id"] is None and row["error"] not in HONEST | _reasons(row):
                yield f"{name} is {status.name} with no honest reason: {row['error']}"
            if row["ended_at"] is None:
                yield f"{name} is {status.name}, and its end has no time"
        elif row["provider_id"] is not None and (row["gateway"], row["provider_id"]) not in taken:
            yield f"{name} is {status.name}, but {row['gateway']} has not taken it"


def _reasons(row: Any) -> set[str]:
    """What the last attempt failed by is an honest reason for a text whose time then ran out."""
    is_late = row["ended_at"] is not None and row["ended_at"] >= row["expires_at"]
    return {row["error"]} if is_late and row["error"] else set()


def what_arrived_is_known(it: Evidence) -> Iterator[str]:
    """No phone was sent what the database does not know of."""
    phones = {row["id"]: row["phone"] for row in it.messages}
    for text in it.arrived:
        if phones.get(text.ref) != text.to:
            yield f"{text.gateway} took {text.sid} for message {text.ref}, which is not known, or another phone's"


def copies_are_alike(it: Evidence) -> Iterator[str]:
    """A text may arrive twice, but never with another code or password."""
    said: defaultdict[int, set[str]] = defaultdict(set)
    for text in it.arrived:
        said[text.ref].update(CODE.findall(text.body), PASSWORD.findall(text.body))
    for ref, secrets in said.items():
        if len(secrets) > 1:
            yield f"message {ref} arrived with {len(secrets)} different secrets"


def a_code_is_good_once(it: Evidence) -> Iterator[str]:
    """What right codes opened is no more than the codes that were used."""
    used = Counter(row["account_id"] for row in it.codes if row["close_reason"] == CloseReason.USED)
    opened = Counter(row["account_id"] for row in it.messages if row["kind"] == MessageKind.PASSWORD)
    opened += Counter(row["account_id"] for row in it.grants)
    for account, number in opened.items():
        if number != used[account]:
            yield f"account {account}: {used[account]} codes were used, and opened {number} times"
    per_code = Counter(row["code_id"] for row in it.grants)
    yield from (f"a code gave {number} tickets" for number in per_code.values() if number > 1)
    ids = {row["mobile"]: row["id"] for row in it.accounts}
    verified = Counter(call.mobile for call in it.ledger.calls if call.path == VERIFY and call.said.get("verified"))
    for mobile, number in verified.items():
        if number > used[ids.get(mobile)]:
            yield f"account {ids.get(mobile)}: Fakher was told {number} times that a code is right"


def one_password_is_good(it: Evidence) -> Iterator[str]:
    """Of all passwords that somebody has had, just one is good."""
    asked = {call.mobile for call in it.ledger.calls if call.path == SET and call.status != 204}
    for mobile, words in it.logins.items():
        good = sum(words.values())
        # One that was chosen at Fakher may not have been taken; then there may be none.
        if good > 1 or (good == 0 and mobile not in asked):
            yield f"the phone …{mobile[-4:]} has had {len(words)} passwords, of which {good} are good"


def nothing_is_stuck(it: Evidence) -> Iterator[str]:
    """What is over is closed; what Fakher is to be told is told."""
    for row in it.codes:
        if row["closed_at"] is None and row["expires_at"] < it.now - GRACE:
            yield f"a code is open that was over at {row['expires_at']}"
        if row["expires_at"] > it.now + timedelta(seconds=600) + GRACE:
            yield f"a code lives longer than ten minutes, until {row['expires_at']}" if not row["closed_at"] else ""
    for row in it.events:
        if row["ended_at"] is None:
            yield f"an event waits for Fakher, after {row['attempts']} attempts"
    for row in it.audit:
        if row["seq"] is None:
            yield f"row {row['id']} of the audit is not sealed"


def secrets_are_erased(it: Evidence) -> Iterator[str]:
    """Nothing secret is kept of a text that left or never will."""
    for row in it.messages:
        if row["secret"] is not None and row["status"] != DeliveryStatus.QUEUED:
            yield f"message {row['id']} keeps its secret"


def receipts_stand(it: Evidence) -> Iterator[str]:
    """A text that was reported as delivered is delivered, whatever came later."""
    delivered = receipts_taken(it.ledger.receipts)
    for row in it.messages:
        if row["provider_id"] in delivered and row["status"] != DeliveryStatus.DELIVERED:
            yield f"message {row['id']} was reported as delivered, and is {DeliveryStatus(row['status']).name}"


def codes_are_audited(it: Evidence) -> Iterator[str]:
    """Each used code has its row in the audit."""
    used = Counter(
        row["account_id"] for row in it.codes if row["close_reason"] == CloseReason.USED and row["account_id"]
    )
    tried = Counter(row["account_id"] for row in it.audit if row["action"] == "code_tried" and row["outcome"] == "ok")
    for account in used.keys() | tried.keys():
        if used[account] != tried[account]:
            yield f"account {account}: {used[account]} codes were used, the audit has {tried[account]}"


def audit_is_unbroken(it: Evidence) -> Iterator[str]:
    """`flask audit verify` finds nothing."""
    status, said = it.audit_verdict
    if status:
        yield f"flask audit verify ended with {status}: {said[-500:]}"


def services_end_well(it: Evidence) -> Iterator[str]:
    """A service that is asked to end does, with status 0."""
    yield from (f"a service ended with {status}" for status in it.exits if status)


def logs_hold_no_secret(it: Evidence) -> Iterator[str]:
    """No ID, number, code or password is in what the services wrote."""
    printed = NO_CODE.sub("", it.printed)
    words = set(re.findall(r"[\w-]+", printed))
    numbers = set(re.findall(r"\d+", printed))
    ids = {row["national_id"] for row in it.accounts} | {row["mobile"].removeprefix("+98") for row in it.accounts}
    codes = {code for text in it.arrived for code in CODE.findall(text.body)}
    passwords = {word for text in it.arrived for word in PASSWORD.findall(text.body)}
    for what, found in (
        ("IDs or numbers", ids & numbers),
        ("full numbers", {f"98{it}" for it in ids} & numbers),
        ("codes", codes & numbers),
        ("passwords", passwords & words),
    ):
        if found:
            yield f"{len(found)} {what} stand in the logs"
    if "Traceback" in printed:
        yield f"a traceback stands in the logs: {printed[printed.index('Traceback') :][:600]}"


INVARIANTS: tuple[Invariant, ...] = (
    texts_are_kept,
    answers_are_right,
    every_text_has_its_answer,
    every_message_left_or_says_why,
    what_arrived_is_known,
    copies_are_alike,
    a_code_is_good_once,
    one_password_is_good,
    nothing_is_stuck,
    secrets_are_erased,
    receipts_stand,
    codes_are_audited,
    audit_is_unbroken,
    services_end_well,
    logs_hold_no_secret,
)


def violations(it: Evidence) -> dict[str, list[str]]:
    """What is wrong, by the invariants' names; empty where all holds."""
    found = {invariant.__name__: [said for said in invariant(it) if said] for invariant in INVARIANTS}
    return {name: said for name, said in found.items() if said}


def counts(it: Evidence) -> dict[str, int]:
    """How many texts were handed over, messages written, copies taken, and messages honestly not sent."""
    refs = Counter(text.ref for text in it.arrived)
    return {
        "texts": len(it.ledger.texts),
        "answered": sum(text.answered_at is not None for text in it.ledger.texts),
        "messages": len(it.messages),
        "taken": len(it.arrived),
        "copies": sum(number - 1 for number in refs.values()),
        "not sent": sum(row["status"] >= FINAL and row["provider_id"] is None for row in it.messages),
        "codes used": sum(row["close_reason"] == CloseReason.USED for row in it.codes),
        "logins tried": len(it.logins),
    }
