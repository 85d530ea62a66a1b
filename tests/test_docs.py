"""README and the pages beside it say what is so: settings, commands, files, diagrams, logs, texts, figures."""

import ast
import re
import subprocess

import click
import pytest

from bot.build import Bot
from bot.cli.diagram import with_diagrams
from bot.profiles.provider import setting_of
from bot.settings import Settings
from dialogs.replies.phrases import say
from dialogs.replies.segments import size
from tests.cases import for_each
from tests.providers.wire import PROFILES
from tests.support.glossary import EVENTS, SETTINGS, STATES
from tests.support.places import ROOT
from webhooks import create_app
from wsgi import app

PAGES = {page.name: page.read_text("utf-8") for page in sorted(ROOT.glob("*.md"))}
# The settings of providers, by their shipped profiles.
OF_PROVIDERS = {setting_of(name, key) for name, it in PROFILES.items() for key in ("profile", "base", *it.needs)} | {
    setting_of("name", key) for key in ("profile", "base", "inbound_secret", "key")
}
README, OPERATING = PAGES["README.md"], PAGES["OPERATING.md"]


def on_all_pages(pattern: str) -> list[tuple[str, str]]:
    """What a pattern finds, each with the page that it stands on."""
    return sorted({(page, found) for page, words in PAGES.items() for found in re.findall(pattern, words)})


def anchors(page: str) -> set[str]:
    """What a link can point at within a page: its headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", PAGES[page], re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rows(heading: str, page: str = README) -> list[list[str]]:
    """The cells of the table under a heading."""
    part = page.split(f"## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    lines = [line for line in part.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


def default(name: str) -> str:
    value = Settings.model_fields[name].default
    if isinstance(value, bool):
        return "on" if value else "off"
    return (",".join(value) if isinstance(value, tuple) else str(value)) or "–"


def test_its_settings_are_the_settings_with_their_defaults() -> None:
    documented = {name.lower(): stated for name, stated, _ in rows("Settings")}
    assert documented == {name: default(name) for name in Settings.model_fields}


def test_its_make_targets_are_those_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    documented = {row[0].removeprefix("make ") for row in rows("Commands") if row[0].startswith("make ")}
    assert documented == targets


@pytest.mark.process
def test_make_help_lists_every_target() -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[0] for line in listed.splitlines()} == {
        row[0].removeprefix("make ") for row in rows("Commands") if row[0].startswith("make ")
    }


@for_each(("page", "words"), on_all_pages(r"(?:flask|(?<![/.])ramz) ([a-z]+(?: [a-z]+)?)"))
def test_the_flask_commands_are_there(page: str, words: str) -> None:
    found: click.Command | None = app.cli
    for word in words.split():
        if isinstance(found, click.Group):
            found = found.get_command(click.Context(found), word)
    assert found is not None


@for_each(("page", "link"), on_all_pages(r"\]\((?!http)([^)]+)\)"))
def test_what_a_page_links_to_is_there(page: str, link: str) -> None:
    path, _, anchor = link.partition("#")
    assert (ROOT / (path or page)).exists()
    assert not anchor or anchor in anchors(path or page)


@for_each(("page", "path"), on_all_pages(r"`((?:dialogs|store|bot|webhooks|tests)/[\w/.]+)`"))
def test_what_a_page_names_is_there(page: str, path: str) -> None:
    assert (ROOT / path).exists()


@for_each(("page", "name"), on_all_pages(r"`([A-Z]+(?:_[A-Z]+)+)[`=]"))
def test_the_settings_that_a_page_names_are_there(page: str, name: str) -> None:
    assert name in SETTINGS | STATES | EVENTS | {"X_FILE", "TEST_DATABASE_URL", "PLAYED_RECOVERIES"} | OF_PROVIDERS


def test_every_page_is_linked_from_the_first() -> None:
    assert {page for page in PAGES if f"]({page})" not in README} <= {"README.md", "CHANGELOG.md"}


def logged() -> set[tuple[str, str]]:
    """Every line that the code can log, and its level."""
    calls = [
        node
        for room in ("bot", "store", "webhooks")
        for file in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "LOG"
    ]
    return {(ast.literal_eval(call.args[0]), ast.unparse(call.func).removeprefix("LOG.")) for call in calls}


def test_its_log_lines_are_those_of_the_code_with_their_levels() -> None:
    documented = {(name, level) for names, level, *_ in rows("Watch it", OPERATING) for name in names.split("`, `")}
    assert documented and documented <= logged()
    assert {each for each in logged() if each[1] == "error"} <= documented, "whoever is woken finds what it means"


def test_each_alarm_says_what_to_do_as_the_handbook_does() -> None:
    rules = (ROOT / "bot/cli/templates/rules.yml").read_text("utf-8")
    alarms = re.findall(r"- alert: (\w+)\n.*?(?=\n      - alert|\Z)", rules, re.DOTALL)
    does = re.findall(r'^          do: "(.+)"$', rules, re.MULTILINE)
    assert len(does) == len(alarms)
    assert {name for names, _ in rows("Alarms", OPERATING) for name in names.split("`, `")} == set(alarms)
    headings = set(re.findall(r"^## (.+)$", OPERATING, re.MULTILINE))
    named = {heading for each in does for heading in re.findall(r"OPERATING\.md: (.+)$", each)}
    assert named and named <= headings


def test_its_metrics_are_those_that_are_told(bot: Bot) -> None:
    told = create_app(bot).test_client().get("/metrics").text
    names = {name for _, name in on_all_pages(r"`(ramz_\w+)`")}
    assert names and names <= set(re.findall(r"^# HELP (\w+)", told, re.MULTILINE))


def test_its_diagram_is_the_table() -> None:
    assert with_diagrams(README) == README


def test_its_transcript_is_what_the_bot_says() -> None:
    said = [
        say("code", "fa", {"code": "482913", "minutes": "10"}),
        say("new_password_no_phone", "fa", {"password": "k7mw-4qtz-9hdx"}),
    ]
    for text in said:
        measured = size(text)
        assert f"{text}\n  [{measured.units}/{measured.limit} {measured.encoding}, 1 text]" in README
