"""Whoever comes to an address that is not theirs reads in their language what this is; machines get what they know."""

import sqlite3

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from bot.build import build
from tests.support.parts import settings
from webhooks import create_app, html

PERSON = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def _locked() -> str:
    raise OperationalError("SELECT 1", {}, sqlite3.OperationalError("database is locked"))


def _broken() -> str:
    raise RuntimeError("a text of somebody")


@pytest.fixture
def app(sqlite_url: str) -> Flask:
    app = create_app(build(settings(DATABASE_URL=sqlite_url)))
    app.add_url_rule("/locked", view_func=_locked)
    app.add_url_rule("/broken", view_func=_broken)
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.mark.parametrize("language", html.LANGUAGES)
@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [("/", 200, "first"), ("/nowhere", 404, "missing"), ("/locked", 503, "later"), ("/broken", 500, "broken")],
)
def test_a_person_reads_what_happened_and_what_this_is(
    client: FlaskClient, language: str, path: str, status: int, reason: str
) -> None:
    answer = client.get(f"{path}?lang={language}", headers=PERSON)
    said = html.words(language)["error_pages"]
    assert (answer.status_code, f"<h1>{said[reason]['title']}</h1>" in answer.text) == (status, True)
    assert said["what"] in answer.text and "a text of somebody" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers.get("Retry-After") == ("30" if status == 503 else None)


def test_a_form_that_is_not_ours_is_refused_in_words(client: FlaskClient) -> None:
    answer = client.post("/console/code?lang=en", data={}, headers=PERSON)
    assert (answer.status_code, "This page is not open to you" in answer.text) == (403, True)


def test_machines_get_no_page(client: FlaskClient) -> None:
    for path in ("/webhooks/nobody/sms", "/api/v1/nothing", "/static/no.css", "/healthz/no"):
        answer = client.get(path, headers=PERSON)
        assert (answer.status_code, "base.css" in answer.text) == (404, False), path
    assert client.get("/broken", headers={"Accept": "application/json"}).text == "something is wrong here"


def test_no_address_of_another_host_is_offered(client: FlaskClient) -> None:
    for path in ("//evil.example/x", "/%2F%2Fevil.example"):
        assert 'href="//' not in client.get(path, headers=PERSON).text
