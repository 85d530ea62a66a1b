"""A provider's file: what is wrong with it is named, all at once; its settings; and `flask gateways check`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from bot.profiles.profile import NEED_NO_REPLY, BadProfile, read
from bot.profiles.provider import shipped
from bot.settings import BadSettings, read_for_service
from bot.settings import read as read_settings
from dialogs.replies.phrases import languages
from tests.cases import for_each
from tests.providers import kavenegar
from tests.providers.standin import HTML
from tests.providers.wire import FILES, PROFILES, environment, standin_of
from tests.support.parts import KEYS
from tests.support.people import ZAHRA
from wsgi import app

SHORTEST = """
base = "https://api.example.ir"
[send]
path = "/send"
form = { to = "{to}", text = "{text}" }
[answer]
accepted = { ok = "true" }
id = "id"
"""


def faults(text: str) -> list[str]:
    with pytest.raises(BadProfile) as bad:
        read(text)
    return bad.value.faults


def changed(old: str, new: str) -> str:
    assert old in SHORTEST
    return SHORTEST.replace(old, new)


def templates(line: str) -> str:
    return f'{SHORTEST}[pattern]\npath = "/p"\n[pattern.templates]\n{line}'


def test_the_shortest_profile_is_enough() -> None:
    assert read(SHORTEST).numbers == "national"


class TestFaults:
    @for_each(
        ("text", "named"),
        [
            ("base = [", "is not TOML"),
            (changed('base = "https', 'base = "http'), "base: must be https"),
            (changed("https://api.example.ir", "https://api.example.ir:99999"), "base: has a host or a port"),
            (changed("https://api.example.ir", "https://user:word@api.example.ir"), "base: must be https, a host"),
            (SHORTEST + "\n[sned]\n", "sned: is no key of a profile"),
            (changed('path = "/send"', 'path = "/send"\nmehtod = "GET"'), "send.mehtod: is no key of a profile"),
            (changed('"/send"', '"send"'), "send.path"),
            (changed('path = "/send"', 'path = "/send"\nmethod = "GET"'), "send: a GET has no form"),
            (changed('path = "/send"', 'path = "/send"\njson = {}'), "send: form and json can't stand together"),
            (changed("{text}", "{txet}"), "send: {txet} is nothing that fills it; it may hold"),
            (changed("{text}", "{text:upper}"), "send: {text:upper}: the forms are hex16, number"),
            (changed("{ ok =", '{ "ok..x" ='), "answer: accepted: 'ok..x' is no path"),
            (changed('id = "id"', 'id = "a b"'), "answer: id: 'a b' is no path"),
            (changed('id = "id"', 'id = "("\nformat = "text"'), "is not a regular expression with a group"),
            (SHORTEST + '[errors]\n"1" = "tired"', "errors.1: tired is no reason"),
            (SHORTEST + '[errors]\n"1" = "blocked!"', "errors.1: blocked is never final"),
            (SHORTEST + '[inbound]\nsender = "f"\ntext = "t"', "needs: must have inbound_secret"),
            (SHORTEST + '[poll.receipts]\npath = "/r"\nstatus = "s"\nbatch = 1', "poll.receipts.map: missing"),
            (SHORTEST + '[poll.receipts]\npath = "/r"\nstatus = "s"\nmap = {a = "sent"}', "batch must be 1"),
            (SHORTEST + '[receipts]\nid = "i"\nstatus = "s"\nmap = {a = "gone"}', "receipts.map.a: gone is neither"),
            (SHORTEST + '[poll.inbound]\npath = "/r"\nlist = "l"\nsender = "s"\ntext = "t"', "it needs an id"),
            (SHORTEST + '[recall]\npath = "/r/{uid}"\nid = "i"', "recall: [send] gives the provider no {uid}"),
            (templates('"code.fa" = ["a", "code"]'), "code: a template's line is not ours"),
            (templates('"new_password.de" = ["a"]'), "is no phrase in a language"),
            (templates('"new_password.fa" = ["a", "code"]'), "has no value called code"),
            (templates('"new_password.fa" = []'), "lacks its template's name"),
        ],
    )  # fmt: skip
    def test_a_fault_is_named_by_its_key(self, text: str, named: str) -> None:
        assert any(named in fault for fault in faults(text)), faults(text)

    @for_each(
        ("text", "told"),
        [
            ("", "base: missing; write base ="),
            (changed("base =", "bsae ="), "bsae: is no key of a profile; did you mean base?"),
            (SHORTEST + "[limits]\nn = 1", "limits: is no key of a profile; here may stand base, needs"),
            (changed('id = "id"', ""), "answer.id: missing; write the path to the id"),
            (changed('"/send"', "5"), "send.path: must be a text in quotes; write a path that begins with /"),
            (changed('{ ok = "true" }', "7"), "answer.accepted: must be a table"),
            (changed("[send]", 'needs = "key"\n[send]'), "needs: must be a list, as [ … ]; write a list of lower-case"),
            (changed("[send]", 'secret = "body:x"\n[send]'), 'secret: can\'t be so; write "query:NAME"'),
            (changed("[send]", 'numbers = "0912"\n[send]'), "numbers: must be 'national', 'bare'"),
            (changed("[send]\n", '[send]\nmethod = "PUT"\n'), "send.method: must be 'GET' or 'POST'"),
            (SHORTEST + '[errors]\n"1" = 5', "errors.1: must be a reason in quotes; the reasons are"),
            (SHORTEST + "[send]\n", "is not TOML: Cannot declare ('send',) twice (at line"),
        ],
    )
    def test_and_told_with_what_to_write(self, text: str, told: str) -> None:
        assert any(fault.startswith(told) for fault in faults(text)), faults(text)

    def test_numbers_and_true_need_no_quotes(self) -> None:
        found = read(
            changed('ok = "true"', "ok = true, status = 0").replace('text = "{text}"', 'text = "{text}", n = 1')
        )
        assert (found.answer.accepted, found.send.form and found.send.form["n"]) == ({"ok": "true", "status": "0"}, "1")

    def test_all_are_named_at_once(self) -> None:
        text = changed("https://", "ftp://").replace('"/send"', '"send"') + '[errors]\n"1" = "tired"\n[x]\n'
        assert {fault.partition(":")[0] for fault in faults(text)} == {"base", "send.path", "errors.1", "x"}

    def test_a_template_from_our_own_line_may_be_answered(self) -> None:
        pattern = '[pattern]\npath = "/p"\nown_line = true\n[pattern.templates]\n"code.fa" = ["a", "code"]'
        assert read(SHORTEST + pattern).pattern is not None

    def test_the_phrases_that_need_no_reply_are_phrases(self) -> None:
        assert all(book["phrases"].keys() >= NEED_NO_REPLY for book in languages().values())

    @given(st.text(max_size=200))
    def test_any_text_is_a_profile_or_a_fault(self, text: str) -> None:
        assert faults(text)

    @pytest.mark.parametrize("name", list(FILES))
    def test_what_was_not_verified_is_said_beside_it(self, name: str) -> None:
        text = FILES[name].read_text("utf-8")
        assert name not in shipped() or ("not verified" in text and "hecked against" in text)


class TestSettings:
    """Beside all others, of the service."""

    def named(self, **settings: str) -> list[str]:
        with pytest.raises(BadSettings) as bad:
            read_for_service({"DATABASE_URL": "sqlite:////ramz.db", "SECRET_KEYS": KEYS, **settings})
        return bad.value.faults

    def test_what_a_profile_needs_is_asked_for(self) -> None:
        wanted = ["HTTP_KAVENEGAR_INBOUND_SECRET", "HTTP_KAVENEGAR_KEY", "HTTP_KAVENEGAR_LINE", "KANNEL_PASSWORD"]
        found = [fault.partition(":")[0] for fault in self.named(GATEWAYS="http-kavenegar,kannel")]
        assert set(wanted) <= set(found)

    def test_and_so_it_is_beside_what_is_bad(self) -> None:
        found = self.named(GATEWAYS="http-magfa", PORT="x", HTTP_MAGFA_BASE="http://sms.magfa.com")
        assert [fault.partition(":")[0] for fault in found] == ["HTTP_MAGFA_BASE", "PORT"]
        found = self.named(GATEWAYS="http-magfa", PORT="x", HTTP_MAGFA_USER="u", HTTP_MAGFA_LINE="1")
        assert [fault.partition(":")[0] for fault in found] == ["HTTP_MAGFA_DOMAIN", "HTTP_MAGFA_PASSWORD", "PORT"]

    def test_a_name_without_a_profile_is_refused_with_those_there_are(self) -> None:
        (fault,) = self.named(GATEWAYS="http-pigeon")
        assert fault.startswith("http-pigeon: there is no such profile") and "http-kavenegar" in fault

    @pytest.mark.parametrize("name", ["http-", "http-Magfa", "http-../x", "http-abcdefghijklmnop", "https-magfa"])
    def test_a_name_that_can_be_none_is_refused(self, name: str) -> None:
        assert any(fault.startswith("GATEWAYS") for fault in self.named(GATEWAYS=name))

    def test_a_profile_of_ones_own_is_read_and_its_faults_are_named(self, tmp_path: Path) -> None:
        path = tmp_path / "pigeon.toml"
        path.write_text(SHORTEST + "\n[x]\n", "utf-8")
        found = self.named(GATEWAYS="http-pigeon,twilio", HTTP_PIGEON_PROFILE=str(path))
        assert any(fault.startswith(f"http-pigeon: {path}: x: is no key of a profile; here may") for fault in found)
        assert "TWILIO_SENDER: missing" in found
        assert self.named(GATEWAYS="http-pigeon", HTTP_PIGEON_PROFILE="/nowhere")[0].startswith(
            "HTTP_PIGEON_PROFILE: /nowhere cannot"
        )

    @pytest.mark.parametrize(("mark", "encoding"), [("utf-8-sig", ""), ("utf-16", "save it as UTF-8")])
    def test_a_file_in_another_encoding_is_told_of_and_a_mark_before_it_is_none(
        self, tmp_path: Path, mark: str, encoding: str
    ) -> None:
        path = tmp_path / "pigeon.toml"
        path.write_text(SHORTEST, mark)
        found = self.named(GATEWAYS="http-pigeon", HTTP_PIGEON_PROFILE=str(path))
        assert [fault for fault in found if "pigeon.toml" in fault] == (
            [f"HTTP_PIGEON_PROFILE: {path} is not in UTF-8: {encoding}"] if encoding else []
        )

    def test_a_service_that_nobody_could_text_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "pigeon.toml"
        path.write_text(SHORTEST, "utf-8")
        own = {"GATEWAYS": "http-pigeon", "HTTP_PIGEON_PROFILE": str(path)}
        assert self.named(**own) == ["GATEWAYS: no text could come in by any of them"]
        found = read_settings({"SECRET_KEYS": KEYS, **own}).providers["http-pigeon"]
        assert len(found.warnings) == 2

    def test_a_secret_may_be_in_a_file_and_is_shown_nowhere(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text("the secret key\n", "utf-8")
        found = read_settings({"GATEWAYS": "http-smsir", "HTTP_SMSIR_KEY_FILE": str(tmp_path / "key")})
        assert found.providers["http-smsir"].values["key"] == "the secret key"
        assert "the secret key" not in f"{found!r} {found.providers!r}"


Run = Callable[..., Result]


class TestCheck:
    """`flask gateways check`"""

    @pytest.fixture
    def run(self) -> Run:
        def run(*words: str, **settings: str) -> Result:
            return app.test_cli_runner().invoke(args=["gateways", "check", *words], env=settings)

        return run

    @pytest.fixture
    def settings(self, sqlite_url: str) -> dict[str, str]:
        return {"SECRET_KEYS": KEYS, "DATABASE_URL": sqlite_url}

    @pytest.mark.parametrize("name", list(PROFILES))
    def test_it_shows_the_request_without_its_secrets_and_sends_nothing(
        self, run: Run, settings: dict[str, str], name: str
    ) -> None:
        with standin_of(name) as standin:
            own = environment(name, standin)
            result = run(f"http-{name}", **settings, **own)
            assert standin.asked == []
        assert result.exit_code == 0, result.output
        assert PROFILES[name].send.path.partition("{")[0] in result.output
        secret = [value for key, value in own.items() if key.endswith(("_KEY", "_PASSWORD", "_SECRET", "_GRAIN"))]
        assert secret and not [value for value in secret if value in result.output]

    @pytest.mark.parametrize("name", list(PROFILES))
    def test_it_sends_and_tells_what_was_understood(self, run: Run, settings: dict[str, str], name: str) -> None:
        with standin_of(name) as standin:
            result = run(f"http-{name}", "--send", ZAHRA["mobile"], **settings, **environment(name, standin))
            (taken,) = standin.taken
        assert result.exit_code == 0, result.output
        assert taken.to == ZAHRA["mobile"]
        assert "Understood: taken, and called" in result.output and taken.id in result.output

    def test_it_tells_why_a_text_was_not_taken(self, run: Run, settings: dict[str, str]) -> None:
        with standin_of("kavenegar") as standin:
            own = environment("kavenegar", standin)
            standin.trouble(kavenegar.refusal(411), HTML)
            result = run("http-kavenegar", "--send", ZAHRA["mobile"], **settings, **own)
            assert "Understood: not taken, not_a_mobile (411); no gateway would do better" in result.output
            assert result.exit_code == 1
            result = run("http-kavenegar", "--send", ZAHRA["mobile"], **settings, **own)
            assert "502" in result.output and "busy (502); it would be tried again" in result.output

    @pytest.mark.parametrize(
        ("words", "settings_", "status"),
        [
            (("http-magfa",), {"GATEWAYS": "twilio"}, 2),
            (("simulated", "--send", "Bank"), {"GATEWAYS": "simulated"}, 2),
            (("http-magfa",), {"GATEWAYS": "http-magfa"}, 1),
            (("simulated", "--send", ZAHRA["mobile"]), {"GATEWAYS": "simulated"}, 0),
            (("simulated",), {"GATEWAYS": "simulated"}, 0),
        ],
    )
    def test_its_status_says_whether_all_was_well(
        self, run: Run, settings: dict[str, str], words: tuple[str, ...], settings_: Any, status: int
    ) -> None:
        assert run(*words, **settings, **settings_).exit_code == status

    def test_it_puts_nothing_on_a_simulated_phone_that_the_service_could_not_open(
        self, run: Run, settings: dict[str, str]
    ) -> None:
        words = ("simulated", "--send", ZAHRA["mobile"])
        assert run(*words, GATEWAYS="simulated", **settings).exit_code == 0
        other = "k1:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
        for keys, named in ((other, "SECRET_KEYS: k1 is another key"), ("", "SECRET_KEYS: missing")):
            result = run(*words, GATEWAYS="simulated", **settings | {"SECRET_KEYS": keys})
            assert result.exit_code == 2 and named in result.output
