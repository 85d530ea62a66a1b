"""Which room may know which, and by which door the world comes in: read from the imports themselves."""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.cases import for_each
from tests.support.places import ROOT

ROOMS = ("dialogs", "store", "bot", "webhooks")
FOLDERS = {*ROOMS, "tests"}
# What a machine leaves behind.
LITTER = {"instance", "__pycache__"}

MAY_KNOW = {
    "dialogs": {"dialogs"},
    "store": {"store", "dialogs"},
    "bot": {"bot", "store", "dialogs"},
    "webhooks": {"webhooks", "bot", "store", "dialogs"},
    "wsgi": {"wsgi", "webhooks", "bot"},
}

# A library and the only places that it may come in by; a folder ends in a stroke.
DOORS = {
    "twilio": ("bot/gateways/twilio.py",),
    "requests": (),
    "urllib3": ("bot/platform/http_client.py",),
    "apscheduler": ("bot/jobs.py",),
    "argon2": ("bot/credentials/passwords.py",),
    "phonenumbers": ("bot/platform/phone_numbers.py",),
    "cryptography": ("bot/credentials/keyring.py",),
    "structlog": ("bot/platform/log.py",),
    "persiantools": ("bot/platform/clock.py",),
    "hijridate": ("bot/platform/clock.py",),
    "zoneinfo": ("bot/platform/clock.py",),
    "pydantic": (
        "bot/settings/fields.py",
        "bot/settings/environment.py",
        "bot/profiles/profile.py",
        "bot/profiles/values.py",
        "webhooks/api/models.py",
        "webhooks/api/endpoints.py",
    ),
    "openapi_pydantic": ("webhooks/api/openapi.py",),
    "standardwebhooks": ("bot/fakher/events.py",),
    "zxcvbn": ("bot/credentials/password_policy.py",),
    "alembic": ("store/database/migrate.py", "store/migrations/"),
    "prometheus_client": ("webhooks/metrics.py",),
    "gunicorn": ("webhooks/server.py",),
    "waitress": ("webhooks/request_reader.py",),
    "flask": ("webhooks/", "wsgi.py", "bot/cli/"),
    "werkzeug": ("webhooks/",),
    "jinja2": ("bot/cli/printing.py", "webhooks/html.py"),
    "markupsafe": ("webhooks/html.py",),
    "click": ("webhooks/", "bot/cli/"),
    "sqlmodel": ("store/tables/",),
    "secrets": ("bot/platform/random_source.py", "bot/settings/secret_keys.py"),
    "random": (),
    "uuid": (),
    "unittest": (),
    "psycopg": (),
    "sqlite3": ("store/database/engine.py",),
}
# What the heart of the bot has no use for, even of the standard library.
PURE = {
    "collections", "contextlib", "dataclasses", "enum", "functools", "itertools", "math", "operator",
    "re", "string", "typing", "types", "unicodedata", "bisect", "abc",
}  # fmt: skip
PURE_BUT_FOR = {
    "datetime": {"timedelta"},  # a span, not a clock
    "tomllib": None,
    "importlib.resources": None,
}
READS_ENVIRONMENT = {"bot/cli/common.py", "webhooks/cli.py"}
HAS_A_CLOCK = {"bot/platform/clock.py"}


def sources(*rooms: str) -> list[Path]:
    found = [file for room in rooms for file in sorted((ROOT / room).rglob("*.py"))]
    return [file for file in found if not LITTER & set(file.parts)]


EVERYTHING = [*sources(*ROOMS), ROOT / "wsgi.py"]


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


@cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(parsed(file)))


@cache
def imports(file: Path) -> tuple[tuple[str, str | None], ...]:
    """Every module that a file imports, wherever in it, and the name that it takes of it."""
    return tuple(_imports(file))


def _imports(file: Path) -> Iterator[tuple[str, str | None]]:
    for node in nodes(file):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(file)} imports by a relative name"
            yield from ((node.module or "", alias.name) for alias in node.names)


def dotted(node: ast.AST) -> str:
    """`a.b.c` for an attribute; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@cache
def uses(file: Path) -> frozenset[str]:
    return frozenset(dotted(node) for node in nodes(file) if isinstance(node, ast.Attribute))


@cache
def called(file: Path) -> frozenset[str]:
    """The names that a file calls."""
    return frozenset(
        node.func.id for node in nodes(file) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )


@for_each("file", EVERYTHING)
def test_no_room_knows_one_that_is_further_out(file: Path) -> None:
    room = file.relative_to(ROOT).parts[0].removesuffix(".py")
    known = {module.partition(".")[0] for module, _ in imports(file)} & MAY_KNOW.keys()
    assert known <= MAY_KNOW[room]


@for_each("file", EVERYTHING)
def test_nothing_imports_the_tests(file: Path) -> None:
    assert not {module.partition(".")[0] for module, _ in imports(file)} & {"tests", "pytest", "hypothesis"}


@for_each("file", sources("dialogs"))
def test_the_dialog_is_pure(file: Path) -> None:
    for module, name in imports(file):
        if module.partition(".")[0] in PURE | {"dialogs"}:
            continue
        assert module in PURE_BUT_FOR, f"{name_of(file)} imports {module}"
        allowed = PURE_BUT_FOR[module]
        if allowed is None:
            assert name_of(file) == "dialogs/replies/phrases.py", f"only phrases.py reads files, not {name_of(file)}"
        else:
            assert name in allowed, f"{name_of(file)} imports {name} from {module}"


@for_each("file", sources("dialogs"))
def test_the_dialog_opens_and_prints_nothing(file: Path) -> None:
    assert not called(file) & {"open", "print", "input", "exec", "eval", "__import__"}


@for_each(("library", "doors"), DOORS.items())
def test_a_library_has_one_door(library: str, doors: tuple[str, ...]) -> None:
    users = {name_of(file) for file in EVERYTHING for module, _ in imports(file) if module.partition(".")[0] == library}
    assert {user for user in users if not user.startswith(doors)} == set()
    assert bool(users) == bool(doors), f"{library} is not used any more: drop its door"


def test_every_library_is_named_here_or_belongs_to_python() -> None:
    met = {module.partition(".")[0] for file in EVERYTHING for module, _ in imports(file)}
    others = met - set(sys.stdlib_module_names) - FOLDERS - {"wsgi"} - DOORS.keys()
    assert others == {"sqlalchemy"}, "a new library needs a door"


def test_the_store_alone_knows_its_engine() -> None:
    building = {"create_engine", "Engine", "sessionmaker", "Session", "event"}
    users = {
        name_of(file)
        for file in EVERYTHING
        for module, name in imports(file)
        if module.startswith("sqlalchemy") and name in building
    }
    assert users <= {"store/database/engine.py"}


@for_each("file", EVERYTHING)
def test_the_environment_is_read_in_one_place(file: Path) -> None:
    reads = uses(file) & {"os.environ", "os.getenv", "os.environb", "os.putenv"}
    taken = {name for module, name in imports(file) if module == "os" and name}
    assert not (reads or taken & {"environ", "getenv"}) or name_of(file) in READS_ENVIRONMENT


@for_each("file", EVERYTHING)
def test_the_time_comes_from_one_clock(file: Path) -> None:
    clocks = {
        "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns",
        "datetime.datetime.now", "datetime.date.today", "func.now", "func.current_timestamp",
    }  # fmt: skip
    taken = {name for module, name in imports(file) if module == "time"}
    assert not (uses(file) & clocks or taken & {"time", "time_ns"}) or name_of(file) in HAS_A_CLOCK


@for_each("file", [f for f in EVERYTHING if not name_of(f).startswith("webhooks/")])
def test_nothing_prints_past_the_log(file: Path) -> None:
    assert not called(file) & {"print", "pprint", "breakpoint"}


def test_only_the_known_folders_are_there() -> None:
    found = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert found - LITTER == FOLDERS


MAP_LINE = re.compile(r"^(?P<names>[\w/.*]+(?:, [\w/.*]+)*)  +\S", re.MULTILINE)
PACKAGES = sorted(name_of(file.parent) for file in EVERYTHING if file.name == "__init__.py")
LARGEST_FOLDER = 20
LONGEST_MODULE = 400


def mapped(room: str) -> list[str]:
    docstring = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text("utf-8"))) or ""
    return [name for line in MAP_LINE.finditer(docstring) for name in line["names"].split(", ")]


@for_each("room", PACKAGES)
def test_a_rooms_map_names_all_that_is_in_it(room: str) -> None:
    modules = {file.name for file in (ROOT / room).glob("*.py")} - {"__init__.py"}
    packages = {f"{file.parent.name}/" for file in (ROOT / room).glob("*/__init__.py")}
    assert (modules | packages) - set(mapped(room)) == set(), "not on the map"


@for_each("room", PACKAGES)
def test_a_rooms_map_names_nothing_that_is_not_in_it(room: str) -> None:
    assert {name for name in mapped(room) if "*" not in name and not (ROOT / room / name).exists()} == set()


@for_each("folder", sorted({file.parent for file in [*EVERYTHING, *sources("tests")]}))
def test_no_folder_is_too_large_to_be_read_at_a_glance(folder: Path) -> None:
    assert len([file for file in folder.glob("*.py") if file.name != "__init__.py"]) <= LARGEST_FOLDER


@for_each("file", EVERYTHING)
def test_no_module_is_too_long_to_be_read_at_one_sitting(file: Path) -> None:
    assert len(file.read_text("utf-8").splitlines()) <= LONGEST_MODULE


def box_of(module: str) -> str:
    """The box of bot/ that a module is in, as bot/'s map has it."""
    name = module.split(".")[1]
    return f"{name}/" if (ROOT / "bot" / name).is_dir() else f"{name}.py"


def arrows() -> set[tuple[str, str]]:
    """Which box of bot/ imports which."""
    found = set()
    for file in sources("bot"):
        here = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if here == "bot.__init__":
            continue
        for module, name in imports(file):
            whole = f"{module}.{name}" if module == "bot" else module
            if whole.startswith("bot."):
                found.add((box_of(here), box_of(whole)))
    return {(a, b) for a, b in found if a != b}


def test_inside_the_bot_each_box_knows_only_those_above_it_on_the_map() -> None:
    order = {name: place for place, name in enumerate(mapped("bot"))}
    assert {f"{a} knows {b}" for a, b in arrows() if order[b] > order[a]} == set()


def test_the_bot_has_few_boxes_and_few_arrows_between_them() -> None:
    assert len(mapped("bot")) <= 17
    assert len(arrows()) <= 75


def test_the_map_of_the_tables_names_every_table_where_it_is() -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / "store/tables/__init__.py").read_text("utf-8"))) or ""
    said = {
        line.partition(" ")[0]: set(re.findall(r"\b[A-Z]\w+", line))
        for line in docstring.splitlines()
        if ".py " in line
    }
    for file in sources("store/tables"):
        classes = {node.name for node in parsed(file).body if isinstance(node, ast.ClassDef)}
        assert said.get(file.name, set()) == classes, name_of(file)


def test_a_class_has_a_name_of_its_own() -> None:
    """The API's models are the schemas of its description, which have names of their own."""
    names = Counter(
        node.name
        for file in EVERYTHING
        if name_of(file) != "webhooks/api/models.py"
        for node in parsed(file).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, number in names.items() if number > 1] == []


@for_each("file", [*EVERYTHING, *sources("tests")])
def test_every_module_says_what_it_is(file: Path) -> None:
    assert ast.get_docstring(parsed(file)), "has no docstring"
