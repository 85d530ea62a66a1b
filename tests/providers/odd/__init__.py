"""Providers with odd manners, that there are not: a profile each, and how it behaves.

Every one takes texts, brings texts and tells of delivery in a way of its own. Their profiles are written as an operator
would write them, after documentation: nothing in the code knows of them.
"""

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import requests
from persiantools.jdatetime import JalaliDateTime

from bot.platform.clock import TEHRAN
from tests.providers.standin import Asked, Page, ProviderStandIn

HERE = Path(__file__).parent
# What their profiles need. None of it may be printed but the line.
NEEDED = {
    "key": "key/with ?&# in it",
    "token": "tok.en-0123456789abcdef",
    "user": "the user",
    "password": "p@ss:word+%",
    "line": "300012345",
    "inbound_secret": "inbound-secret-0123",
}
SECRETS = [value for name, value in NEEDED.items() if name not in {"line", "user"}]
JSON, PLAIN, FORM = "application/json", "text/plain", "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Push:
    """A call that a provider makes: its path's end, query, body and headers."""

    what: str
    query: dict[str, str]
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    end: str = ""
    method: str = "POST"

    def to(self, address: str, gateway: str) -> tuple[int, str]:
        """Make it; status and words."""
        url = f"{address}/webhooks/{gateway}/{self.what}{self.end}"
        said = requests.request(
            self.method, url, params=self.query, data=self.body, headers=dict(self.headers), timeout=15
        )
        return said.status_code, said.text


def said(data: Any, status: int = 200, charset: str = "utf-8", content_type: str = JSON) -> Page:
    """JSON, in an encoding of the provider's choice."""
    return Page(json.dumps(data, ensure_ascii=False).encode(charset), status, content_type)


class Odd(ProviderStandIn):
    """A provider with manners of its own."""

    name = ""
    calls = False  # whether it calls with texts; else it is asked

    def take(self, to: str, text: str, uid: str = "", template: str = "") -> str:
        """Take a text; one that is asked says at once that it has arrived."""
        name = super().take(to, text, uid, template)
        if not self.calls:
            self.states[name] = "delivered"
        return name

    def push_text(self, mobile: str, words: str, number: int) -> list[Push]:
        """How it brings a text. Some bring it twice."""
        raise NotImplementedError

    def push_receipts(self, names: dict[str, str]) -> list[Push]:
        """How it tells that the texts of these ids, each with our own, were delivered; none where it is asked."""
        return []

    @property
    def file(self) -> Path:
        """Its profile."""
        return HERE / f"{self.name}.toml"


class Abr(Odd):
    """JSON three tables deep, answers in UTF-16."""

    name, calls = "abr", True

    def respond(self, asked: Asked) -> Page:
        if asked.headers.get("authorization") != f"Bearer {NEEDED['token']}":
            return said({"response": {"result": {"code": -7, "text": "کلید"}}})
        (item,) = asked.json["request"]["batch"]["items"]
        assert item["from"] == int(NEEDED["line"]) and item["body"]["class"] == 1
        name = self.take(item["to"][0], item["body"]["text"])
        huge = int(f"9{name:0>24}")
        self.taken[-1] = type(self.taken[-1])(self.taken[-1].to, self.taken[-1].text, str(huge))
        result = {
            "code": 0,
            "text": "پذیرفته شد",
            "items": {"numbers": item["to"], "ids": [huge], "states": ["QUEUED"]},
        }
        return said({"response": {"result": result}}, charset="utf-16", content_type="application/json; charset=utf-16")

    def push_text(self, mobile: str, words: str, number: int) -> list[Push]:
        texts = [
            {"key": number, "from": {"number": int(mobile.removeprefix("+"))}, "content": {"body": words}},
            {"key": number + 500_000, "from": {"number": None}, "content": {"body": "nobody's"}},
        ]
        body = json.dumps({"events": {"incoming": texts}}, ensure_ascii=False).encode("utf-8-sig")
        return [Push("sms", {"secret": NEEDED["inbound_secret"]}, body, (("Content-Type", JSON),))] * 2

    def push_receipts(self, names: dict[str, str]) -> list[Push]:
        reports = [{"ref": {"id": int(name)}, "state": {"code": 2}} for name in names]
        body = json.dumps({"events": {"reports": [*reports, {"ref": None, "state": {}}, 7]}}).encode()
        return [Push("receipts", {"secret": NEEDED["inbound_secret"]}, body, (("Content-Type", JSON),))]


class Bagh(Odd):
    """GET, and plain words in Windows-1256."""

    name, calls = "bagh", True

    def respond(self, asked: Asked) -> Page:
        query = asked.query
        if (asked.method, query["u"], query["p"]) != ("GET", NEEDED["user"], NEEDED["password"]):
            return Page("خطا: 12".encode("windows-1256"), content_type=PLAIN)
        assert (query["flash"], query["unicode"]) == ("false", "1")
        self.take(query["dst"], query["msg"], query["ref"])
        return Page("ارسال شد\r\n".encode("windows-1256"), content_type=PLAIN)

    def push_text(self, mobile: str, words: str, number: int) -> list[Push]:
        query = {"src": mobile.replace("+98", "0"), "txt": words, "when": f"1405/09/08 10:{number % 60:02}"}
        return [Push("sms", query, end=f"/{quote(NEEDED['inbound_secret'], safe='')}", method="GET")] * 2

    def push_receipts(self, names: dict[str, str]) -> list[Push]:
        end = f"/{quote(NEEDED['inbound_secret'], safe='')}"
        return [Push("receipts", {"ref": uid, "st": "DELIVRD"}, end=end, method="GET") for uid in names.values()]


class Chah(Odd):
    """A byte order mark before every answer; Jalali dates; a lone text that is in no list."""

    name = "chah"

    def respond(self, asked: Asked) -> Page:
        if asked.user != (NEEDED["user"], NEEDED["password"]):
            return self._said({"ok": False, "error": 1001})
        if asked.path == "/api/send":
            assert asked.form["type"] == "1"
            return self._said({"ok": True, "messageId": float(self.take(asked.form["to[0]"], asked.form["message"]))})
        if asked.path == "/api/status":
            names = asked.json["ids"]
            assert all(isinstance(name, int) for name in names)
            told = [{"id": name, "status": 1} for name in names if str(name) in self.states]
            return self._said({"result": {"statuses": told}})
        assert asked.method == "GET"
        new = [it for it in self.waiting if int(it.id) > int(asked.query["after"])][:100]
        rows = [
            {"id": int(it.id), "mobile": it.sender.replace("+98", "98"), "body": it.text, "date": _jalali(it.at)}
            for it in new
        ]
        return self._said({"result": {"messages": rows[0] if len(rows) == 1 else rows or None}})

    def _said(self, data: Any) -> Page:
        return said(data, charset="utf-8-sig")


def _jalali(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC).astimezone(TEHRAN)
    return str(JalaliDateTime(moment).strftime("%Y/%m/%d %H:%M:%S", locale="fa"))  # type: ignore[no-untyped-call]


class Dasht(Odd):
    """Lists at the root, and JSON that says that it is a form."""

    name, calls = "dasht", True

    def respond(self, asked: Asked) -> Page:
        if asked.headers.get("apikey") != NEEDED["key"]:
            return said({"Error": "NoCredit"}, 401)
        (item,) = asked.json
        return said([{"Status": "Ok", "Id": self.take(item["Mobile"], item["Text"], str(item["UserTag"]))}])

    def _push(self, what: str, rows: list[dict[str, Any]]) -> Push:
        body = json.dumps(rows, ensure_ascii=False).encode()
        return Push(what, {}, body, (("Content-Type", FORM), ("X-Dasht", NEEDED["inbound_secret"])))

    def push_text(self, mobile: str, words: str, number: int) -> list[Push]:
        return [self._push("sms", [{"Id": f"{number}", "From": mobile.removeprefix("+98"), "Text": words}])] * 2

    def push_receipts(self, names: dict[str, str]) -> list[Push]:
        sent = [{"Id": name, "Status": "Sent"} for name in names]
        return [self._push("receipts", [{"Id": name, "Status": "Delivered"} for name in names] + sent)]


class Elm(Odd):
    """Compressed answers, JSON in a text of JSON, pages of two."""

    name = "elm"

    def respond(self, asked: Asked) -> Page:
        path = asked.path.removeprefix("/Service.asmx/")
        if (asked.json or asked.query)["key"] != NEEDED["key"]:
            return self._said({"Success": False, "Code": "CREDIT"})
        if path == "Send":
            return self._said({"Success": True, "Id": self.take(asked.json["to"], asked.json["text"])})
        if path.startswith("Status/"):
            return self._said({"State": "D" if path.removeprefix("Status/") in self.states else "W"})
        since, page = asked.query["since"], int(asked.query["page"])
        # Ids in hexadecimal, which the first cursor, 0, comes before.
        rows = [(f"{int(it.id):024x}", it) for it in self.waiting]
        rows = [(name, it) for name, it in rows if name > since][2 * page - 2 : 2 * page]
        if not rows:
            return Page("", 204, "")
        told = [
            {"Id": name, "Sender": f"00{it.sender[1:]}", "Text": it.text, "At": _iso(it.at)}
            for name, it in rows
        ]  # fmt: skip
        return self._said({"Success": True, "Rows": told})

    def _said(self, data: Any) -> Page:
        body = gzip.compress(json.dumps({"d": json.dumps(data)}).encode())
        return Page(body, 200, JSON, ("Content-Encoding: gzip",))


def _iso(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


class Farsh(Odd):
    """204 for what it took."""

    name, calls = "farsh", True

    def respond(self, asked: Asked) -> Page:
        if not asked.path.startswith(f"/{quote(NEEDED['key'], safe='')}/"):
            return Page("ERR CREDIT", 402, PLAIN)
        assert urlsplit(asked.form["dlr"]).path == "/webhooks/http-farsh/receipts"
        self.take(asked.form["msisdn"], asked.form["text"], asked.form["clientref"])
        return Page("", 204, "")

    def push_text(self, mobile: str, words: str, number: int) -> list[Push]:
        body = urlencode({"msisdn": mobile, "text": words, "id": f"{{{number}}}"}).encode()
        return [Push("sms", {"secret": NEEDED["inbound_secret"]}, body, (("Content-Type", FORM),))] * 2

    def push_receipts(self, names: dict[str, str]) -> list[Push]:
        forms = [urlencode({"clientref": uid, "status": "ok"}).encode() for uid in names.values()]
        return [
            Push("receipts", {"secret": NEEDED["inbound_secret"]}, body, (("Content-Type", FORM),)) for body in forms
        ]


class Gol(Odd):
    """A profile that says the same in other words; texts are both pushed and asked for."""

    name, calls = "gol", True

    def respond(self, asked: Asked) -> Page:
        end = unquote(asked.path).removeprefix(f"/v1/{NEEDED['key']}/")
        done = {"return": {"status": 200}}
        if end == "sms/send.json":
            known = next((it.id for it in self.taken if it.uid == asked.form["localid"]), "")
            name = known or self.take(asked.form["receptor"], asked.form["message"], asked.form["localid"])
            return said({**done, "entries": [{"messageid": int(name), "status": 1}]})
        assert asked.method == "GET"
        if end.startswith("mid/"):
            return said({"mid": next((it.id for it in self.taken if it.uid == end.removeprefix("mid/")), -1)})
        return said({**done, "entries": None})

    def push_text(self, mobile: str, words: str, number: int) -> list[Push]:
        body = json.dumps({"from": mobile.replace("+98", "0098"), "message": words, "messageid": number}).encode()
        return [Push("sms", {"secret": NEEDED["inbound_secret"]}, body, (("Content-Type", PLAIN),))] * 2

    def push_receipts(self, names: dict[str, str]) -> list[Push]:
        secret = {"secret": NEEDED["inbound_secret"]}
        return [Push("receipts", {**secret, "messageid": name, "status": "10"}, method="GET") for name in names]


class Hava(Odd):
    """XML for what is sent, JSON for what is asked, and no list where there is nothing."""

    name = "hava"

    def respond(self, asked: Asked) -> Page:
        if asked.headers.get("x-token") != NEEDED["token"]:
            return Page("<r><status>-9</status></r>")
        if asked.path == "/xml/send":
            name = self.take(asked.form["to"], asked.form["txt"])
            return Page(f"<?xml version='1.0'?><r>\n<status>1</status><id>{name}</id></r>", 200, "text/xml")
        if asked.path == "/json/dlr":
            name = asked.form["id"]
            return said({"state": "ok", "dlr": [{"id": name, "s": 1}]} if name in self.states else {"state": "ok"})
        rows = [{"n": it.sender.replace("+98", "98"), "t": it.text, "ms": int(it.at * 1000)} for it in self.waiting]
        self.waiting.clear()
        return said({"state": "ok", "inbox": rows} if rows else {"state": "ok"})


ODD: dict[str, Callable[[], Odd]] = {
    each.name: each for each in (Abr, Bagh, Chah, Dasht, Elm, Farsh, Gol, Hava)
}  # fmt: skip


def settings_of(provider: Odd) -> dict[str, str]:
    """The settings of a service on this provider."""
    name = provider.name.upper()
    needs = re.findall(
        r'"([a-z_]+)"', next(it for it in provider.file.read_text("utf-8").splitlines() if "needs" in it)
    )
    return {
        f"HTTP_{name}_PROFILE": str(provider.file),
        f"HTTP_{name}_BASE": provider.url,
        **{f"HTTP_{name}_{need.upper()}": NEEDED[need] for need in needs},
    }
