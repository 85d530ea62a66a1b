"""The gateway of providers with an HTTP API: what is sent, as text or template, and where it goes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.gateways.http.answer import find, parse
from bot.gateways.http.gateway import uid
from bot.gateways.http.request import compose, number
from bot.ports import Reason
from bot.profiles.places import fill_address
from tests.providers import kavenegar, magfa
from tests.providers.wire import FILES, PERSIAN, PROFILES, Open, failure, outbound
from tests.support.people import ZAHRA


class TestWhatIsSent:
    def test_kavenegar_has_its_key_in_the_path_and_the_rest_in_a_form(self, opened: Open) -> None:
        wire = opened("kavenegar")
        wire.gateway.send(outbound())
        (asked,) = wire.standin.asked
        assert asked.path == f"/v1/{kavenegar.KEY}/sms/send.json"
        expected = {"receptor": "09121234567", "message": PERSIAN, "sender": "10004346", "localid": uid(outbound())}
        assert asked.form == expected

    def test_magfa_has_lists_and_a_number_for_our_id(self, opened: Open) -> None:
        wire = opened("magfa")
        wire.gateway.send(outbound())
        (asked,) = wire.standin.asked
        assert asked.user == ("ramz/hajj", magfa.PASSWORD)
        assert asked.json["recipients"] == ["09121234567"]
        assert asked.json["uids"] == [int(uid(outbound()))]

    def test_jasmin_has_the_text_in_hexadecimal_and_our_address_for_receipts(self, opened: Open) -> None:
        wire = opened("jasmin")
        wire.gateway.send(outbound("رمز", validity=59))
        form = wire.standin.asked[0].form
        assert (form["hex-content"], form["validity-period"]) == ("063106450632", "1")
        assert form["dlr-url"] == wire.gateway.address("receipts", wire.gateway.provider.secret)

    @pytest.mark.parametrize(
        ("form", "written"),
        [
            ("national", "09121234567"),
            ("bare", "9121234567"),
            ("international", "989121234567"),
            ("e164", "+989121234567"),
        ],
    )
    def test_a_number_is_written_as_the_provider_reads_it(self, form: str, written: str) -> None:
        assert number("+989121234567", form) == written

    def test_a_number_abroad_keeps_its_country(self) -> None:
        assert number("+9647701234567", "national") == "009647701234567"

    @given(st.text())
    def test_no_value_can_leave_its_place_in_an_address(self, value: str) -> None:
        value = value.encode("utf-8", "replace").decode()
        filled = fill_address("/v1/{key}/send?a={key}", {"key": value})
        assert not set(filled.removeprefix("/v1/").replace("/send?a=", "")) & set("/?#& \r\n=")

    @given(st.text())
    def test_no_value_ends_a_header(self, value: str) -> None:
        profile = PROFILES["ippanel"]
        request = compose(profile, profile.base, profile.send, {"key": value, "line": "1", "to": "1", "text": ""})
        assert not set(request.headers["Authorization"]) & set("\r\n")


class TestPatterns:
    """A provider's approved templates."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Callable[[str, str], dict[str, str]]:
        def make(name: str, pattern: str) -> dict[str, str]:
            path = tmp_path / f"{name}.toml"
            path.write_text(FILES[name].read_text("utf-8") + pattern, "utf-8")
            return {f"HTTP_{name.upper()}_PROFILE": str(path)}

        return make

    KAVENEGAR = """
[pattern]
path = "/v1/{key}/verify/lookup.json"
form = { receptor = "{to}", template = "{template}", token = "{1}", token2 = "{2}" }
templates = { "new_password.fa" = ["ramz-new", "password"], "code_for_fakher.fa" = ["ramz-fakher", "code", "minutes"] }
"""
    SMSIR = """
[pattern]
path = "/v1/send/verify"
json = { mobile = "{to}", templateId = "{template:number}", parameters = [{ name = "CODE", value = "{1}" }] }
id = "data.messageId"
templates = { "new_password.fa" = ["100000", "password"] }
otherwise = "next"
"""

    def test_a_phrase_with_a_template_goes_as_its_values(self, opened: Open, file: Any) -> None:
        wire = opened("kavenegar", **file("kavenegar", self.KAVENEGAR))
        made: dict[str, Any] = {"phrase": "new_password", "language": "fa", "parameters": {"password": "k7mw4qtz9hdx"}}
        assert wire.gateway.send(outbound("رمز تازه", **made)) == wire.standin.taken[0].id
        form = wire.standin.asked[0].form
        assert form == {"receptor": "09121234567", "template": "ramz-new", "token": "k7mw4qtz9hdx"}

    def test_a_template_may_have_several_values(self, opened: Open, file: Any) -> None:
        wire = opened("kavenegar", **file("kavenegar", self.KAVENEGAR))
        made: dict[str, Any] = {
            "phrase": "code_for_fakher",
            "language": "fa",
            "parameters": {"code": "012345", "minutes": "10"},
        }
        wire.gateway.send(outbound(**made))
        assert (wire.standin.asked[0].form["token"], wire.standin.asked[0].form["token2"]) == ("012345", "10")

    @pytest.mark.parametrize(("phrase", "language"), [("code", "fa"), ("new_password", "en")])
    def test_a_phrase_without_one_goes_as_plain_text(self, opened: Open, file: Any, phrase: str, language: str) -> None:
        wire = opened("kavenegar", **file("kavenegar", self.KAVENEGAR))
        wire.gateway.send(outbound(phrase=phrase, language=language))
        assert wire.arrived(ZAHRA["mobile"]) == [PERSIAN]

    def test_or_by_the_next_gateway_where_the_profile_says_so(self, opened: Open, file: Any) -> None:
        wire = opened("smsir", **file("smsir", self.SMSIR))
        failed = failure(wire, text=outbound(phrase="code", language="fa"))
        assert (failed.reason, failed.permanent) == (Reason.NO_TEMPLATE, False)
        assert wire.standin.asked == []
        made: dict[str, Any] = {"phrase": "new_password", "language": "fa", "parameters": {"password": "k7mw4qtz9hdx"}}
        assert wire.gateway.send(outbound(**made)) == wire.standin.taken[0].id
        assert wire.standin.asked[0].json["templateId"] == 100_000


class TestPaths:
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda each: st.lists(each) | st.dictionaries(st.text(), each),
        ),
        st.text(),
    )
    def test_a_path_leads_somewhere_or_nowhere_but_never_breaks(self, data: Any, path: str) -> None:  # fmt: skip
        find(data, path)

    @pytest.mark.parametrize(
        ("path", "value"), [("a.0.b", 1), ("A.0.B", 1), ("a.1.b", None), ("a.0.c", None), ("", "all")]
    )
    def test_it_finds_what_is_there(self, path: str, value: Any) -> None:
        data = parse(b'{"a": [{"b": 1}]}')
        found = find(data, path)
        assert found == value or (value is None and found.__name__ == "Nothing") or (value == "all" and found == data)
