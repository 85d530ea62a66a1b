"""What `flask deploy` makes of its templates: text on stdout, or files in their places, each with its mode.

The templates stand in templates/. Their marks are [[ value ]] and [% if … %]: nginx, shells and Prometheus use braces.
"""

import os
import shlex
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import chown
from typing import Any

import click
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from bot.cli.common import fail

TEMPLATES = Path(__file__).parent / "templates"
OWNER_ONLY, FOR_ALL, PROGRAM = 0o600, 0o644, 0o755


@dataclass(frozen=True)
class PrintedFile:
    """A file to be put in its place: the template it is made of, its path, mode and owner."""

    template: str
    path: str
    mode: int = FOR_ALL
    owner: str = "root"


def in_quotes(value: str) -> str:
    """A value as Kannel's configuration takes it, whatever is in it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def literal(value: str) -> str:
    """A string as PostgreSQL takes it."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """The name of a role or a database as PostgreSQL takes it."""
    return '"' + value.replace('"', '""') + '"'


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(()),
        undefined=StrictUndefined,
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"quoted": shlex.quote, "in_quotes": in_quotes, "literal": literal, "name": name}
    return made


def rendered(piece: PrintedFile, values: Mapping[str, Any]) -> str:
    """A template with the values in it. UndefinedError where one lacks."""
    return _environment().get_template(piece.template).render(values)


def show(piece: PrintedFile, values: Mapping[str, Any]) -> None:
    """Print a file. Where it holds secrets and stdout is a file, that becomes its owner's alone first."""
    text = rendered(piece, values)
    if piece.mode == OWNER_ONLY:
        _close_to_others()
    click.echo(text, nl=False)


def _close_to_others() -> None:
    try:
        found = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return  # no file of the system's
    if stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
        try:
            os.fchmod(sys.stdout.fileno(), OWNER_ONLY)
        except OSError:
            fail("This holds secrets, and others can read the file that it would be written to")
        click.echo("The file is its owner's alone now (mode 0600): it holds secrets.", err=True)


def put(pieces: list[PrintedFile], values: Mapping[str, Any], into: Path) -> None:
    """Write files to their places under a folder. What is there and differs is left, and so is all the rest then."""
    texts = {_place(piece, into): rendered(piece, values) for piece in pieces}
    for path, text in texts.items():
        if path.exists() and path.read_text("utf-8") != text:
            fail(f"{path}: is there and differs; nothing was written. Move it away first", 1)
    for piece, (path, text) in zip(pieces, texts.items(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            suppress(FileExistsError),
            os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as to,
        ):
            to.write(text)
        path.chmod(piece.mode)
        with suppress(LookupError, PermissionError):
            chown(path, piece.owner)
        click.echo(f"{piece.mode:04o} {path}")


def _place(piece: PrintedFile, into: Path) -> Path:
    return into / piece.path.lstrip("/")
