"""What every page has: the same words in both languages, and static files with the right types, kept for ever."""

import re
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import Environment
from werkzeug.datastructures import Headers

from bot.build import build
from dialogs.tables.dialog import Dialog
from dialogs.tables.machine import step, ways
from dialogs.tables.mobile_change import MOBILE_CHANGE
from dialogs.tables.recovery import RECOVERY
from dialogs.tables.staff import STAFF
from tests.cases import for_each
from tests.support.parts import settings
from webhooks import create_app, html
from webhooks.simulator.diagram import diagram

NAMESPACE = "http://www.w3.org/2000/svg"  # a name, which nothing fetches
STATIC = Path(html.__file__).parent / "static"


@pytest.fixture
def app(sqlite_url: str) -> Flask:
    return create_app(build(settings(DATABASE_URL=sqlite_url)))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_of_the_languages_that_a_browser_prefers_so_many_are_read(client: FlaskClient) -> None:
    taken = []
    for preferred in ("fa;q=0.5, en", "fa;q=0.5, en", "fa;q=0.5, en" + ",a" * 15_000):
        began = time.thread_time()
        page = client.get("/", headers={"Accept-Language": preferred})
        taken.append(time.thread_time() - began)
        assert '<html lang="en"' in page.text
    assert taken[2] < 10 * taken[1]


def keys(words: Mapping[str, Any], within: str = "") -> Iterator[str]:
    for name, value in words.items():
        yield from keys(value, f"{within}{name}.") if isinstance(value, dict) else [f"{within}{name}"]


def got(client: FlaskClient, address: str) -> tuple[int, Headers]:
    """The status and headers of a file, which is closed again."""
    with client.get(address) as answer:
        return answer.status_code, answer.headers


def test_both_languages_say_the_same_things() -> None:
    assert list(keys(html.words("fa"))) == list(keys(html.words("en")))


@for_each(
    ("direction", "said", "written"),
    [
        ("ltr", "اردبیل, 0.0%", '<bdi dir="rtl">اردبیل</bdi>, 0.0%'),
        ("ltr", "سیستان و بلوچستان, kannel", '<bdi dir="rtl">سیستان و بلوچستان</bdi>, kannel'),
        ("rtl", "درگاه kannel 02، ۲ ثانیه", 'درگاه <bdi dir="ltr">kannel 02</bdi>، ۲ ثانیه'),
        ("rtl", "…۰۰۴۲", '<bdi dir="ltr">…۰۰۴۲</bdi>'),
        ("ltr", "…0042", '<bdi dir="ltr">…0042</bdi>'),
        ("rtl", "<b>ی", '&lt;<bdi dir="ltr">b&gt;</bdi>ی'),
        ("ltr", "<b>ی", '&lt;b&gt;<bdi dir="rtl">ی</bdi>'),
    ],
)
def test_what_is_read_the_other_way_stands_by_itself(direction: str, said: str, written: str) -> None:
    page = Environment(autoescape=True).from_string("").new_context({"dir": direction})
    assert html.isolated(page, said) == written


def test_the_address_of_a_file_changes_with_it() -> None:
    assert re.fullmatch(r"/static/base\.css\?v=[0-9a-f]{12}", html.asset("base.css"))
    assert html.asset("base.css").partition("?")[2] != html.asset("phone.css").partition("?")[2]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("base.css", "text/css; charset=utf-8"),
        ("phone.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml; charset=utf-8"),
    ],
)
def test_files_have_their_types_and_are_kept_for_ever(client: FlaskClient, name: str, kind: str) -> None:
    _, headers = got(client, html.asset(name))
    assert headers["Content-Type"] == kind
    assert headers["Cache-Control"] == html.FOR_EVER
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert got(client, f"/static/{name}")[1]["Cache-Control"] != html.FOR_EVER


def test_the_font_is_ours_with_its_licence_and_its_version_in_its_name(client: FlaskClient) -> None:
    (named,) = re.findall(r'url\("(.+?)"\)', (STATIC / "base.css").read_text("utf-8"))
    _, headers = got(client, f"/static/{named}")
    assert headers["Content-Type"] == "font/woff2"
    assert headers["Cache-Control"] == html.FOR_EVER
    assert "SIL OPEN FONT LICENSE" in (STATIC / named.replace("woff2", "OFL.txt")).read_text("utf-8")


def test_what_is_missing_is_not_kept(client: FlaskClient) -> None:
    status, headers = got(client, "/static/no.woff2?v=1")
    assert (status, headers.get("Cache-Control")) == (404, None)


def test_nothing_static_asks_for_another_host() -> None:
    for file in STATIC.iterdir():
        if file.suffix in {".css", ".js"}:
            assert not re.search(r"(https?:|[\"'(])//", file.read_text("utf-8").replace(NAMESPACE, "")), file.name


@pytest.mark.parametrize(
    ("address", "preferred", "lang", "direction"),
    [
        ("/phone", "", "fa", "rtl"),
        ("/phone", "en-GB,en;q=0.8", "en", "ltr"),
        ("/phone", "de,fr;q=0.8", "fa", "rtl"),
        ("/phone?lang=fa", "en", "fa", "rtl"),
        ("/phone?lang=xx", "en", "en", "ltr"),
    ],
)
def test_a_page_is_in_the_language_that_was_asked_for(
    app: Flask, address: str, preferred: str, lang: str, direction: str
) -> None:
    with app.test_request_context(address, headers={"Accept-Language": preferred}):
        assert html.language_asked() == lang
        assert html.LANGUAGES[lang] == direction


# The diagram


DRAWN = pytest.mark.parametrize("dialog", [RECOVERY, STAFF, MOBILE_CHANGE], ids=["recovery", "staff", "change"])


@DRAWN
def test_a_diagram_has_every_arrow_between_states_once(dialog: Dialog[Any, Any]) -> None:
    entries = [(box.state, entry) for box in diagram(dialog).boxes for entry in box.entries]
    drawn = [(source, entry.event, state) for state, entry in entries for source in entry.sources]
    written = [(way.source.name if way.source else "", way.event.name, way.target.name) for way in ways(dialog)]
    assert sorted(drawn) == sorted(written)
    assert all(len(entry.paths) == len(entry.sources) for _, entry in entries)
    named = [(state, entry.event) for state, entry in entries]
    assert len(named) == len(set(named))


@DRAWN
def test_its_arrows_are_the_steps_of_the_machine(dialog: Dialog[Any, Any]) -> None:
    own = {(way.source, way.event): way.target for way in ways(dialog) if way.source}
    anywhere = {way.event: way.target for way in ways(dialog) if way.source is None}
    for state in dialog.table:
        for event in dialog.anywhere:
            after = step(state, event)[0]
            if after is not state:
                assert after is own.get((state, event), anywhere.get(event))


@DRAWN
def test_no_box_lies_over_another(dialog: Dialog[Any, Any]) -> None:
    drawn = diagram(dialog)
    assert [box.state for box in drawn.boxes] == [state.name for state in dialog.table]
    for box, below in pairwise(drawn.boxes):
        assert box.y + box.height < below.y
    assert drawn.boxes[-1].y + drawn.boxes[-1].height < drawn.height
