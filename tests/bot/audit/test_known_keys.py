"""A database knows its keys: it is served by no others, and a change of keys goes from host to host."""

from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from bot.audit import known_keys
from bot.audit.trail import Entry
from bot.credentials.keyring import Keyring
from bot.settings import read_keys
from dialogs.audit_vocabulary import Action, Actor
from store.audit import AUDIT
from store.database.engine import Store
from store.service.key_checks import KEY_CHECK, known
from tests.bot.audit.test_audit import rows
from tests.bot.audit.test_hash_chain import NEW, NEWEST, make_chain, note
from tests.bot.cli.test_audit_commands import flask
from tests.bot.cli.test_commands import free_port
from tests.bot.cli.test_named_database import MARYAM
from tests.bot.test_jobs import everything
from tests.conftest import MakeBot
from tests.support.parts import KEYS
from webhooks import create_app

# The name of the one, the bytes of the other.
DISGUISED = "k1:" + NEW.partition(":")[2]
BARE = Entry(Actor.BOT, Action.CODE_SENT)


def of(keys: str) -> Keyring:
    return Keyring.of(read_keys(keys))


def started(store: Store, *keys: str) -> str | None:
    """A service starts with these keys."""
    with store.writing() as connection:
        return known_keys.admit(connection, of(",".join(keys)))


def goes_on(store: Store, *keys: str) -> bool:
    """Whether a service that runs with these keys is still one of this database."""
    with store.reading() as connection:
        return known_keys.fault(connection, of(",".join(keys))) is None


def written(store: Store, *keys: str, times: int = 1) -> None:
    note(make_chain(store, ",".join(keys)), *[BARE] * times)


def test_an_empty_database_learns_the_first_keys_and_knows_them_again(store: Store) -> None:
    assert started(store, KEYS) is None
    assert started(store, KEYS) is None
    with store.reading() as connection:
        assert list(known(connection).checks) == ["k1"]


def test_keys_that_the_database_does_not_know_are_refused(store: Store) -> None:
    assert started(store, KEYS) is None
    for strange in ([NEW], [NEW, NEWEST]):
        found = started(store, *strange)
        assert found == "SECRET_KEYS: the database knows none of these keys; it knows k1"
        assert not goes_on(store, *strange)
    with store.reading() as connection:
        assert list(known(connection).checks) == ["k1"]


def test_another_key_by_a_known_name_is_refused(store: Store) -> None:
    assert started(store, KEYS) is None
    for given in ([DISGUISED], [NEWEST, DISGUISED]):
        assert (
            started(store, *given) == "SECRET_KEYS: k1 is another key than the one that the database knows by this name"
        )
        assert not goes_on(store, *given)


def test_a_host_that_lacks_the_key_that_was_put_in_front_last_is_refused(store: Store) -> None:
    assert started(store, KEYS) is None
    assert started(store, NEW, KEYS) is None
    assert started(store, KEYS) == "SECRET_KEYS: k2 is missing, which was put in front last"
    assert started(store, KEYS, NEWEST) == "SECRET_KEYS: k2 is missing, which was put in front last"


def test_a_change_of_keys_in_two_steps_disturbs_no_host(store: Store) -> None:
    """The new key last everywhere, then first; then the old one is taken out, on one host after the other."""
    steps: list[list[str]] = [[KEYS], [KEYS, NEW], [NEW, KEYS], [NEW]]
    hosts = [steps[0], steps[0], steps[0]]
    for before, after in pairwise(steps):
        for each in range(3):
            assert started(store, *after) is None
            hosts[each] = after
            assert all(goes_on(store, *keys) for keys in hosts), (before, after, each)
            # One that falls over meanwhile comes back with what it had.
            assert all(started(store, *keys) is None for keys in hosts)
    assert started(store, KEYS) == "SECRET_KEYS: k2 is missing, which was put in front last"


def test_a_change_in_one_step_shows_on_the_hosts_that_are_behind(store: Store) -> None:
    assert started(store, KEYS) is None
    assert started(store, NEW, KEYS) is None
    assert not goes_on(store, KEYS)
    assert goes_on(store, KEYS, NEW)


def test_a_key_can_be_put_back_in_front(store: Store) -> None:
    for keys in ([KEYS], [NEW, KEYS], [KEYS, NEW], [KEYS]):
        assert started(store, *keys) is None


def test_a_key_that_was_given_up_is_not_put_in_front_again(store: Store) -> None:
    assert started(store, NEW, KEYS) is None
    assert make_chain(store, f"{NEW},{KEYS}").rekey().faults == []
    told = "SECRET_KEYS: k1 is in front, but was given up by flask audit rekey; put another there"
    assert started(store, KEYS, NEW) == told
    assert started(store, NEWEST, NEW, KEYS) is None


def test_an_old_backup_wants_the_keys_of_then(store: Store) -> None:
    assert started(store, KEYS) is None
    assert started(store, NEW, KEYS) is None
    with store.writing() as connection:  # as the backup has it
        connection.execute(delete(KEY_CHECK).where(KEY_CHECK.c.key_id == "k2"))
    assert started(store, NEW) == "SECRET_KEYS: the database knows none of these keys; it knows k1"
    assert started(store, NEW, KEYS) is None


def test_two_hosts_that_begin_at_once_with_different_keys_of_one_name_are_not_both_served(store: Store) -> None:
    found = [started(store, KEYS), started(store, DISGUISED)]
    assert found[0] is None and found[1] is not None


def test_a_check_value_opens_nothing() -> None:
    keyring = of(KEYS)
    (check,) = keyring.checks.values()
    others = [*keyring.audits.values(), keyring.webhook, keyring._aliases, *keyring._codes.values()]
    assert len(check) == 32 and check not in others
    assert of(DISGUISED).checks["k1"] != check


# A database that was made before it kept them


def test_an_upgraded_database_learns_the_keys_that_wrote_its_audit(store: Store) -> None:
    written(store, KEYS, times=3)
    assert goes_on(store, KEYS) and goes_on(store, NEW, KEYS)
    assert started(store, NEW, KEYS) is None
    with store.reading() as connection:
        assert (list(known(connection).checks), known(connection).last) == (["k1", "k2"], "k2")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (NEW, "SECRET_KEYS: k1 is missing, under which the audit's newest row was written"),
        (DISGUISED, "SECRET_KEYS: k1 is another key than the one that wrote the audit's newest rows"),
        (f"{NEWEST},{DISGUISED}", "SECRET_KEYS: k1 is another key than the one that wrote the audit's newest rows"),
    ],
)
def test_an_upgraded_database_is_served_by_no_others(store: Store, given: str, told: str) -> None:
    written(store, KEYS, times=3)
    assert started(store, given) == told
    assert not goes_on(store, given)
    with store.reading() as connection:
        assert known(connection).last is None


def test_a_row_that_somebody_spoilt_hides_nothing_of_the_others(store: Store) -> None:
    written(store, KEYS, times=3)
    with store.writing() as connection:
        newest = connection.execute(select(AUDIT.c.id).order_by(AUDIT.c.id.desc()).limit(1)).scalar_one()
        connection.execute(update(AUDIT).where(AUDIT.c.id == newest).values(who="somebody"))
    assert started(store, KEYS) is None


# /readyz, and the commands


def test_readyz_says_when_another_host_has_put_a_key_in_front_that_this_one_lacks(make_bot: MakeBot) -> None:
    bot = make_bot()
    assert started(bot.store, KEYS) is None
    bot.start()
    client = create_app(bot).test_client()
    assert client.get("/readyz").get_json()["wrong"] == []
    assert started(bot.store, NEW, KEYS) is None
    answer = client.get("/readyz")
    bot.stop()
    wrong = answer.get_json()["wrong"]
    assert (answer.status_code, [it.partition(":")[0] for it in wrong]) == (503, ["keys"])


@pytest.mark.parametrize("keys", [NEW, DISGUISED, KEYS], ids=["strange", "disguised", "behind"])
def test_make_serve_refuses_them_in_one_line(store: Store, database_url: str, keys: str) -> None:
    assert started(store, *([NEWEST, KEYS] if keys == KEYS else [KEYS])) is None
    before = everything(store)
    done = flask(database_url, "serve", keyring=keys, GATEWAYS="simulated", PORT=str(free_port()))
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("SECRET_KEYS: ")
    assert everything(store) == before


CHANGING = [
    ("staff", "add", *MARYAM),
    ("season", "set", "--opens", "2026-08-14", "--closes", "2027-02-01"),
    ("season", "clear"),
    ("tokens", "create", "--name", "fakher"),
    ("accounts", "import", "people.csv"),
    ("audit", "rekey"),
    ("audit", "verify"),
]


@pytest.mark.parametrize("keys", [NEW, DISGUISED, f"{NEWEST},{NEW}"], ids=["strange", "disguised", "several"])
@pytest.mark.parametrize("words", CHANGING, ids=" ".join)
def test_a_command_with_keys_that_the_database_does_not_know_does_nothing(
    store: Store, database_url: str, tmp_path: Path, words: tuple[str, ...], keys: str
) -> None:
    people = tmp_path / "people.csv"
    people.write_text("national_id,username,mobile\n0012345679,zahra,09121234567\n", "utf-8")
    assert started(store, KEYS) is None
    written(store, KEYS)
    before = everything(store)
    typed = [str(people) if word == people.name else word for word in words]
    done = flask(database_url, *typed, keyring=keys)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("SECRET_KEYS: ")
    assert everything(store) == before


def test_a_command_writes_under_the_key_that_the_service_has_in_front(store: Store, database_url: str) -> None:
    assert started(store, NEW, KEYS) is None
    done = flask(database_url, "season", "clear", keyring=f"{KEYS},{NEW}")
    told = "SECRET_KEYS: k1 is in front here, k2 where the service runs: put that in front. Nothing was done"
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (2, told)
    assert rows(store) == []
    assert flask(database_url, "season", "clear", keyring=f"{NEW},{KEYS}").exit_code == 0
    assert flask(database_url, "audit", "verify", keyring=f"{KEYS},{NEW}").exit_code == 0


def test_lost_keys_are_given_up_by_a_command_of_its_own(store: Store, database_url: str) -> None:
    assert started(store, KEYS) is None
    written(store, KEYS)
    assert flask(database_url, "season", "clear", keyring=NEW).exit_code == 2
    done = flask(database_url, "keys", "accept", keyring=NEW)
    assert (done.exit_code, done.stdout) == (0, "The database is served with k2 from now on, k2 in front.\n")
    assert f"database: {database_url.partition('@')[2] or database_url}"[-20:] in done.stderr
    assert started(store, NEW) is None
    assert not goes_on(store, KEYS)
    assert [(row.action, row.reason, row.key_id) for row in rows(store)][1:] == [("keys_accepted", "k2", "k2")]
    assert flask(database_url, "season", "clear", keyring=NEW).exit_code == 0
