"""README says what is so: settings, commands, files, the diagram, and the texts of its transcript."""

import re
import subprocess
from pathlib import Path

import click
import pytest

from bot.cli.diagram import with_diagrams
from bot.settings import Settings
from dialogs.phrases import say
from dialogs.segments import size
from wsgi import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    part = README.split(f"### {heading}\n")[1].split("\n#")[0]
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
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    documented = {row[0].removeprefix("make ") for row in rows("Commands") if row[0].startswith("make ")}
    assert documented == targets


def test_make_help_lists_every_target() -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[0] for line in listed.splitlines()} == {
        row[0].removeprefix("make ") for row in rows("Commands") if row[0].startswith("make ")
    }


@pytest.mark.parametrize("words", sorted(set(re.findall(r"flask ([a-z]+(?: [a-z]+)?)", README))))
def test_its_flask_commands_are_there(words: str) -> None:
    found: click.Command | None = app.cli
    for word in words.split():
        if isinstance(found, click.Group):
            found = found.get_command(click.Context(found), word)
    assert found is not None


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_what_it_links_to_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:dialogs|store|bot|webhooks|tests)/[\w/.]+)`", README))))
def test_what_it_names_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def variables(configuration: str) -> list[list[str]]:
    """The names that stand in each group of a Kannel configuration, with the group's own."""
    groups = [group.splitlines() for group in configuration.strip().split("\n\n")]
    return [[group[0], *(line.partition(" = ")[0] for line in group[1:])] for group in groups if group[0][0] != "#"]


def test_its_kannel_configuration_is_the_one_that_is_tested() -> None:
    sample = README.split("```\ngroup = core")[1].split("```")[0]
    tested = (ROOT / "tests" / "kannel.conf").read_text("utf-8")
    assert variables("group = core" + sample) == variables(tested)
    assert "-interface = 0.0.0.0" not in sample and sample.count("-interface = 127.0.0.1") == 3


def test_its_diagram_is_the_table() -> None:
    assert with_diagrams(README) == README


def test_its_transcript_is_what_the_bot_says() -> None:
    said = [
        say("code", "fa", {"code": "482913", "minutes": "10"}),
        say("new_password", "fa", {"password": "k7mw4qtz9hdx"}),
        say("password_changed_no_phone", "fa", {}),
    ]
    for text in said:
        measured = size(text)
        assert f"{text}\n  [{measured.units}/{measured.limit} {measured.encoding}, 1 text]" in README
