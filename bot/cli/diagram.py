"""`flask diagram`: the dialogs' tables, drawn into README.md."""

from pathlib import Path
from typing import Any

import click

from bot.cli.common import fail
from dialogs.tables.dialog import Dialog
from dialogs.tables.machine import mermaid
from dialogs.tables.mobile_change import MOBILE_CHANGE
from dialogs.tables.recovery import RECOVERY
from dialogs.tables.staff import STAFF

END = "<!-- end of diagram -->"
DIAGRAMS: dict[str, Dialog[Any, Any]] = {"recovery": RECOVERY, "staff": STAFF, "mobile change": MOBILE_CHANGE}


def begins(name: str) -> str:
    """The mark before a dialog's diagram."""
    return f"<!-- diagram of {name}: drawn by make diagram -->"


@click.command("diagram")
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 if a drawing is stale.")
def diagram(check: bool) -> None:
    """Draw the dialogs' tables into README.md."""
    readme = Path("README.md")
    text = readme.read_text("utf-8")
    drawn = with_diagrams(text)
    if check and drawn != text:
        fail("A diagram in README.md is stale. Run: make diagram", 1)
    if not check:
        readme.write_text(drawn, "utf-8")


def with_diagrams(text: str) -> str:
    """A page with the present diagrams between their marks."""
    for name, dialog in DIAGRAMS.items():
        before, mark, rest = text.partition(begins(name))
        if not mark:
            continue
        _, _, after = rest.partition(END)
        text = f"{before}{begins(name)}\n```mermaid\n{mermaid(dialog)}\n```\n{END}{after}"
    return text
