"""Texts and receipts of HTTP providers, as they call with them and as they are asked for them."""

import json
import time
from pathlib import Path

import pytest
from werkzeug.datastructures import MultiDict

from bot.ports import Call, Malformed, Reason, SendFailed
from store.tables import DeliveryStatus
from tests.providers.standin import (
    EMPTY,
    ENDLESS,
    HALF,
    HTML,
    TOO_MANY,
    WELCOME,
    Cut,
    Page,
    Trouble,
    answer,
)
from tests.providers.wire import FILES, PROFILES, Open, outbound
from tests.support.people import OMID, ZAHRA


class TestTextsThatComeIn:
    def test_jasmins_texts_in_another_alphabet_are_read_from_their_octets(self, opened: Open) -> None:
        wire = opened("jasmin")
        persian = wire.text(ZAHRA["mobile"], "1", "رمز")
        assert wire.gateway.read_texts(Call("", {}, persian, {}))[0].text == "رمز"
        latin = {"id": "2", "from": ZAHRA["mobile"], "content": "RESET", "coding": "0", "binary": "5245534554"}
        assert wire.gateway.read_texts(Call("", {}, latin, {}))[0].text == "RESET"

    def test_two_texts_without_id_and_date_are_two(self, opened: Open) -> None:
        wire = opened("melipayamak")
        form = wire.text(ZAHRA["mobile"], "", "رمز")
        call = Call("", {}, {}, form)
        assert wire.gateway.read_texts(call)[0].provider_id != wire.gateway.read_texts(call)[0].provider_id

    def test_a_json_body_is_read_by_the_same_names(self, opened: Open) -> None:
        wire = opened("kavenegar")
        body = '{"from": "09121234567", "message": "رمز", "messageid": 55}'.encode()
        heard = wire.gateway.read_texts(Call("", {"Content-Type": "application/json"}, {}, {}, body))[0]
        assert (heard.sender, heard.text, heard.provider_id) == ("09121234567", "رمز", "55")
        with pytest.raises(Malformed):
            wire.gateway.read_texts(Call("", {"Content-Type": "application/json"}, {}, {}, b"{"))

    def test_a_provider_that_does_not_call_is_not_believed(self, opened: Open) -> None:
        wire = opened("magfa")
        assert not wire.gateway.is_authentic(Call("https://h/webhooks/http-magfa/sms?secret=", {}, {}, {"secret": ""}))


class TestReceipts:
    def test_one_call_can_bring_several(self, opened: Open, tmp_path: Path) -> None:
        text = FILES["kavenegar"].read_text("utf-8").replace("[receipts]", '[receipts]\nlist = "."')
        path = tmp_path / "list.toml"
        path.write_text(text, "utf-8")
        wire = opened("kavenegar", HTTP_KAVENEGAR_PROFILE=str(path))
        items = [
            {"messageid": 1, "status": 10},
            {"messageid": 2, "status": 14},
            {"status": 10},
            {"messageid": 3, "status": 77},
        ]
        read = wire.gateway.read_receipts(Call("", {}, MultiDict(), {}, json.dumps(items).encode()))
        assert [(it.provider_id, it.status, it.error) for it in read] == [
            ("1", DeliveryStatus.DELIVERED, None), ("2", DeliveryStatus.FAILED, Reason.BLOCKED),
        ]  # fmt: skip
        for broken in (b"", b"{}", b"7", b"["):
            with pytest.raises(Malformed):
                wire.gateway.read_receipts(Call("", {}, MultiDict(), {}, broken))


POLLED = pytest.mark.parametrize("name", [name for name, it in PROFILES.items() if it.poll.inbound])
ASKED = pytest.mark.parametrize("name", [name for name, it in PROFILES.items() if it.poll.receipts])


class TestEveryProfileThatIsAsked:
    """The contract of those that don't call."""

    @POLLED
    def test_it_fetches_what_came_in_once(self, opened: Open, name: str) -> None:
        wire = opened(name)
        assert wire.gateway.poll_inbound("").texts == []
        wire.standin.bring(ZAHRA["mobile"], "رمز 0012345679")
        wire.standin.bring(OMID["mobile"], "RESET 8052916372")
        first = wire.gateway.poll_inbound("")
        assert [it.inbound.text for it in first.texts] == ["رمز 0012345679", "RESET 8052916372"]
        assert all(it.inbound.gateway == f"http-{name}" for it in first.texts)
        assert len({it.inbound.provider_id for it in first.texts}) == 2
        now = time.time()
        assert all(it.sent_at is not None and abs(it.sent_at.timestamp() - now) < 30 for it in first.texts)
        assert wire.gateway.poll_inbound(first.cursor).texts == []

    @POLLED
    def test_it_fetches_hundreds(self, opened: Open, name: str) -> None:
        wire = opened(name)
        for place in range(230):
            wire.standin.bring(ZAHRA["mobile"], f"text {place}")
        cursor, texts, rounds = "", [], 0
        while rounds < 9 and (batch := wire.gateway.poll_inbound(cursor)).texts:
            texts += [it.inbound.text for it in batch.texts]
            cursor, rounds = batch.cursor, rounds + 1
        assert sorted(set(texts)) == sorted(f"text {place}" for place in range(230))
        assert len(texts) == 230

    @ASKED
    def test_it_tells_how_far_texts_have_come(self, opened: Open, name: str) -> None:
        wire = opened(name)
        names = [wire.gateway.send(outbound(ref=ref)) for ref in (1, 2)]
        wire.standin.states = {names[0]: wire.state("delivered"), names[1]: wire.state("undelivered")}
        rounds = wire.gateway.receipt_rounds
        assert rounds is not None
        asked = [names] if rounds.batch > 1 else [[it] for it in names]
        read = [it for each in asked for it in wire.gateway.poll_receipts(each)]
        assert [(it.provider_id, it.status) for it in read] == [
            (names[0], DeliveryStatus.DELIVERED),
            (names[1], DeliveryStatus.FAILED),
        ]

    @POLLED
    @pytest.mark.parametrize(
        "trouble",
        [HTML, WELCOME, TOO_MANY, HALF, EMPTY, ENDLESS, answer([7]), Cut(), Page("", 302), answer({"status": 18})],
    )
    def test_no_answer_is_told_from_an_empty_one(self, opened: Open, name: str, trouble: Trouble) -> None:
        wire = opened(name)
        wire.standin.trouble(trouble, trouble)
        with pytest.raises(SendFailed):
            wire.gateway.poll_inbound("")
        if wire.gateway.receipt_rounds:
            with pytest.raises(SendFailed):
                wire.gateway.poll_receipts(["1"])

    def test_a_text_without_a_sender_is_counted_and_the_others_are_fetched(self, opened: Open) -> None:
        wire = opened("magfa")
        good = {"body": "رمز", "senderNumber": "989121234567", "date": "2026-09-01 12:30:00"}
        wire.standin.trouble(answer({"status": 0, "messages": [{"body": "x"}, good, None, 7]}))
        batch = wire.gateway.poll_inbound("")
        assert ([it.inbound.text for it in batch.texts], batch.lost) == (["رمز"], 3)

    def test_the_same_text_of_the_same_second_has_the_same_name(self, opened: Open) -> None:
        wire = opened("magfa")
        row = {"body": "رمز", "senderNumber": "989121234567", "date": "2026-09-01 12:30:00"}
        later = row | {"date": "2026-09-01 12:30:01"}
        wire.standin.trouble(answer({"status": 0, "messages": [row, row, later]}))
        first, second, third = (it.inbound.provider_id for it in wire.gateway.poll_inbound("").texts)
        assert first == second != third
        assert "رمز" not in first and "9121234567" not in first
