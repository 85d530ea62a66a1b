"""The season's report: it says what `flask kpi` says, in two languages, in one file that asks for no other."""

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from bot.platform.clock import midnight, today_in_tehran
from bot.reports import kpi
from store.database.engine import Store
from store.views.delivery_stats import Subject
from tests.bot.cli.test_commands import typed
from tests.support import browser, made_season
from tests.support.parts import KEYS, NOON
from webhooks import html, printing, season_report
from webhooks.console.formatting import Formatter

LAST = today_in_tehran(NOON)
FIRST = LAST - timedelta(days=29)


@pytest.fixture
def season(store: Store) -> Store:
    made_season.make(store, 900, midnight(FIRST), days=29)
    return store


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))


@pytest.mark.parametrize("language", ["en", "fa"])
def test_it_says_what_the_figures_say(season: Store, language: str) -> None:
    found = kpi.figures(season, FIRST, LAST, NOON)
    page = season_report.write(found, NOON, language)
    said = text_of(page)

    written = Formatter(language).digits

    for point in (Subject.CODE, Subject.PASSWORD):
        whole = found.points[point].whole
        assert whole.share is not None
        assert Formatter(language).share(whole.share) in said
        for number in (whole.in_time, whole.in_time + whole.missed, whole.failed, whole.no_receipt):
            assert written(f"{number:,}") in said
    password = found.points[Subject.PASSWORD].whole
    assert written(f"{password.in_time + password.late:,}") in said  # visits saved
    for number in found.codes.values():
        assert written(f"{number:,}") in said
    for name in found.points[Subject.CODE].provinces:
        assert name in said
    assert f'dir="{html.LANGUAGES[language]}"' in page and f'lang="{language}"' in page
    reasons = html.words(language)["console"]["errors_of"]
    assert all(reasons[reason] in said for _, reason in found.errors)
    shown = [each for point in found.points.values() for each in point.days.values() if each.share is not None]
    assert len(re.findall('class="day( below)?"', page)) == len(shown)


def test_it_asks_for_nothing_else_and_runs_nothing(season: Store) -> None:
    page = season_report.write(kpi.figures(season, FIRST, LAST, NOON), NOON, "fa")
    for ours in ('src: url("data:', 'xmlns="http://www.w3.org/2000/svg"'):
        page = page.replace(ours, "")
    assert not re.search(r"<script|<link|https?://|src=", page)
    assert "default-src 'none'" in page


def test_without_a_text_it_says_so(store: Store) -> None:
    page = season_report.write(kpi.figures(store, FIRST, LAST, NOON), NOON, "en")
    assert "There was no text in these days." in text_of(page)


def test_a_provinces_name_can_t_break_the_page(store: Store) -> None:
    made_season.make(store, 60, midnight(FIRST), days=5)
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE account SET province = '<b>x</b>'")
    page = season_report.write(kpi.figures(store, FIRST, LAST, NOON), NOON, "en")
    assert "<b>x</b>" not in page and "&lt;b&gt;x&lt;/b&gt;" in page


def test_both_languages_have_the_same_words() -> None:
    fa, en = (html.words(language)["report"] for language in ("fa", "en"))
    assert fa.keys() == en.keys()
    for name, value in fa.items():
        if isinstance(value, dict):
            assert value.keys() == en[name].keys()
        elif isinstance(value, str):
            assert re.findall(r"{\w+}", value).sort() == re.findall(r"{\w+}", en[name]).sort()


@pytest.mark.process
def test_the_command_writes_the_file_and_says_where_there_is_no_browser(sqlite_url: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = typed("kpi", "report", "--html", str(page), DATABASE_URL=sqlite_url, SECRET_KEYS=KEYS)
    assert (done.exit_code, done.stdout) == (0, f"Written to {page}.\n")
    assert 'lang="fa"' in page.read_text("utf-8")
    nowhere = tmp_path / "none" / "report.html"
    assert typed("kpi", "report", "--html", str(nowhere), DATABASE_URL=sqlite_url, SECRET_KEYS=KEYS).exit_code == 1
    assert typed("kpi", "report", DATABASE_URL=sqlite_url, SECRET_KEYS=KEYS).exit_code == 2
    with pytest.raises(printing.NoPrinter, match="no browser is here"):
        printing.to_pdf(page, tmp_path / "report.pdf", printing.browser(str(tmp_path)))
    with pytest.raises(printing.NoPrinter, match="did not print it"):
        printing.to_pdf(page, tmp_path / "report.pdf", shutil.which("false"))


@pytest.mark.process
def test_it_is_printed_on_a_few_pages(season: Store, tmp_path: Path) -> None:
    page, pdf = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text(season_report.write(kpi.figures(season, FIRST, LAST, NOON), NOON, "fa"), "utf-8")
    printing.to_pdf(page, pdf, printing.browser() or browser.chromium())
    written = pdf.read_bytes()
    assert written.startswith(b"%PDF-")
    pages = len(re.findall(rb"/Type\s*/Page\b", written))
    assert 3 <= pages <= 7
    if shutil.which("pdftotext"):
        told = subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True, check=True).stdout
        assert "Ramz" in told
