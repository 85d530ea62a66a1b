"""The books of a soak: sound ones are found sound, and each thing that must hold can be seen not to."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from store.tables import CloseReason, DeliveryStatus, MessageKind
from tests.soak.carriers import Arrived
from tests.soak.doors import Call, Ledger, Text, Told
from tests.soak.evidence import Evidence
from tests.soak.load import SET, VERIFY
from tests.soak.reconcile import INVARIANTS, violations
from tests.soak.run import Happened, late, waits
from tests.support.parts import NOON

MOBILE, PASSWORD = "+989120000001", "k7mw-4qtz-9hdx"
ASKED, HANDED_BACK = (
    Text("twilio", "SM1", MOBILE, "RESET …", [503, 200], 1.0),
    Text("kannel", "SM2", MOBILE, "…", [200], 3.0),
)
Damage = Callable[[Evidence], None]


def message(number: int, kind: MessageKind, **changes: Any) -> dict[str, Any]:
    return {
        "id": number,
        "kind": kind,
        "phone": MOBILE,
        "phrase": kind.name.lower(),
        "account_id": 1,
        "resend_of": None,
        "attempts": 1,
        "status": DeliveryStatus.DELIVERED,
        "gateway": "twilio",
        "provider_id": f"P{number}",
        "error": None,
        "secret": None,
        "expires_at": NOON + timedelta(minutes=10),
        "ended_at": NOON,
        **changes,
    }


def code(**changes: Any) -> dict[str, Any]:
    times = {"expires_at": NOON + timedelta(minutes=10), "closed_at": NOON}
    return {"account_id": 1, "close_reason": CloseReason.USED, **times, **changes}


def sound() -> Evidence:
    """One pilgrim's recovery, by two gateways."""
    return Evidence(
        now=NOON + timedelta(minutes=5),
        ledger=Ledger(
            [ASKED, HANDED_BACK], [], [Told("twilio", "P1", "delivered", 204), Told("twilio", "P2", "delivered", 204)]
        ),
        grants=[],
        events=[],
        arrived=[
            Arrived("twilio", "P1", 1, MOBILE, "Fakher code: 482913", 1.2, ""),
            Arrived("twilio", "P2", 2, MOBILE, f"Your new password:\n{PASSWORD}", 3.2, ""),
        ],
        heard=[
            {"gateway": "twilio", "provider_id": "SM1", "event": "asked", "answered": True},
            {"gateway": "kannel", "provider_id": "SM2", "event": "right_code", "answered": True},
        ],
        messages=[message(1, MessageKind.CODE), message(2, MessageKind.PASSWORD)],
        codes=[code()],
        audit=[{"id": 1, "seq": 1, "account_id": 1, "action": "code_tried", "outcome": "ok"}],
        accounts=[{"id": 1, "mobile": MOBILE, "national_id": "0012345679"}],
        logins={MOBILE: {PASSWORD: True, "aaaa-bbbb-cccc": False}},
        exits=[0],
        printed='{"event": "audit_sealed", "timestamp": "2026-09-01T09:00:00.482913Z"}\n',
    )


def changed(rows: str, number: int, **changes: Any) -> Damage:
    """Another word in a row."""

    def damage(it: Evidence) -> None:
        found: Any = getattr(it, rows)
        found[number] = {**found[number], **changes}

    return damage


def without(rows: str, number: int) -> Damage:
    """A row less."""
    return lambda it: getattr(it, rows).pop(number)


def more(rows: str, row: Any) -> Damage:
    """A row more."""
    return lambda it: getattr(it, rows).append(row)


def with_value(name: str, value: Any) -> Damage:
    """Something else altogether."""
    return lambda it: setattr(it, name, value)


def call(path: str, status: int, **said: Any) -> Damage:
    """A call of Fakher's, and what was answered."""
    return lambda it: it.ledger.calls.append(Call(path, MOBILE, status, said))


def arrives(**changes: Any) -> Damage:
    """A text at the provider that is like the first, but for something."""
    first: Mapping[str, Any] = vars(sound().arrived[0])
    return more("arrived", Arrived(**{**first, **changes}))


WAITS = {"status": DeliveryStatus.QUEUED, "provider_id": None}
DROPPED = {"status": DeliveryStatus.DROPPED, "provider_id": None}
DAMAGES: list[tuple[str, Damage]] = [
    ("texts_are_kept", without("heard", 0)),
    ("answers_are_right", call(VERIFY, 500)),
    ("answers_are_right", lambda it: it.ledger.texts.append(Text("twilio", "SM1", MOBILE, "…", [500, 200], 1.0))),
    ("answers_are_right", lambda it: it.ledger.receipts.append(Told("twilio", "P1", "sent", 403))),
    ("every_text_has_its_answer", without("messages", 1)),
    ("every_text_has_its_answer", more("messages", message(3, MessageKind.CODE))),
    ("every_message_left_or_says_why", changed("messages", 0, **WAITS)),
    ("every_message_left_or_says_why", changed("messages", 0, **DROPPED, error="unknown")),
    ("every_message_left_or_says_why", changed("messages", 0, **DROPPED, error="expired", ended_at=None)),
    ("every_message_left_or_says_why", without("arrived", 0)),
    ("what_arrived_is_known", arrives(ref=9)),
    ("what_arrived_is_known", arrives(to="+989120000002")),
    ("copies_are_alike", arrives(body="Fakher code: 482914")),
    ("a_code_is_good_once", more("messages", message(3, MessageKind.PASSWORD))),
    ("a_code_is_good_once", more("grants", {"account_id": 1, "code_id": "c"})),
    ("a_code_is_good_once", lambda it: it.ledger.calls.extend([Call(VERIFY, MOBILE, 200, {"verified": True})] * 2)),
    ("one_password_is_good", with_value("logins", {MOBILE: {PASSWORD: True, "aaaa-bbbb-cccc": True}})),
    ("one_password_is_good", with_value("logins", {MOBILE: {PASSWORD: False}})),
    ("nothing_is_stuck", more("codes", code(closed_at=None, close_reason=None, expires_at=NOON))),
    ("nothing_is_stuck", more("codes", code(closed_at=None, close_reason=None, expires_at=NOON + timedelta(hours=1)))),
    ("nothing_is_stuck", more("events", {"ended_at": None, "attempts": 3})),
    ("nothing_is_stuck", changed("audit", 0, seq=None)),
    ("secrets_are_erased", changed("messages", 0, secret=b"sealed")),
    ("receipts_stand", changed("messages", 0, status=DeliveryStatus.ACCEPTED)),
    ("codes_are_audited", without("audit", 0)),
    ("audit_is_unbroken", with_value("audit_verdict", (1, "row 1 was changed"))),
    ("services_end_well", with_value("exits", [0, -9])),
    *(
        ("logs_hold_no_secret", with_value("printed", word))
        for word in (
            MOBILE,
            MOBILE.removeprefix("+98"),
            "0012345679",
            "code 482913",
            PASSWORD,
            "Traceback (most recent",
        )
    ),
]


def test_sound_books_are_found_sound() -> None:
    assert violations(sound()) == {}


@pytest.mark.parametrize(("name", "damage"), DAMAGES, ids=lambda it: it if isinstance(it, str) else "")
def test_what_is_wrong_is_found(name: str, damage: Damage) -> None:
    books = sound()
    damage(books)
    assert name in violations(books)


def test_each_thing_that_must_hold_is_seen_not_to() -> None:
    assert {name for name, _ in DAMAGES} == {invariant.__name__ for invariant in INVARIANTS}


def test_a_gateway_that_was_taken_out_has_no_door_any_more() -> None:
    books = sound()
    books.ledger.texts.append(Text("kannel", "SM2", MOBILE, "…", [404, 200], 3.0))
    assert violations(books) == {}
    books.ledger.texts.append(Text("twilio", "SM1", MOBILE, "…", [404, 200], 1.0))
    assert list(violations(books)) == ["answers_are_right"]


def test_a_text_that_lay_until_its_time_was_up_says_why() -> None:
    books = sound()
    books.arrived, books.ledger.receipts = [books.arrived[1]], []
    late = NOON + timedelta(minutes=10)
    changed("messages", 0, **DROPPED, error="busy", ended_at=late)(books)
    assert violations(books) == {}


def test_a_password_chosen_at_fakher_may_not_have_been_taken() -> None:
    books = sound()
    call(SET, 503)(books)
    books.logins = {MOBILE: {PASSWORD: False}}
    assert violations(books) == {}


def test_a_wait_is_from_the_first_200_to_the_first_code() -> None:
    it = sound()
    sent = min(text.at for text in it.arrived if text.to == MOBILE)
    assert waits(it) == [(1.0, sent - 1.0)]


def test_a_long_wait_is_told_by_the_faults_that_it_fell_in() -> None:
    happened = [
        Happened("hang", 10.0, 5.0, 1.0, (110.0, 116.0)),
        Happened("kill_worker", 20.0, 0.0, 0.5, (120.0, 120.5)),
    ]
    waited = [(100.0, 9.9), (108.0, 2.1), (115.0, 6.0), (117.0, 2.5), (115.0, 1.9)]
    assert late(waited, happened) == {"hang": [2.1], "hang, kill_worker": [6.0], "calm": [9.9, 2.5]}
