"""The weather of a trial: one file that every process reads."""

from datetime import timedelta
from pathlib import Path

import pytest

from bot.trial import DOWN, Bend, Trial
from tests.parts import NOON, StoppedClock


def test_it_is_fair_where_nothing_was_changed(trial: Trial) -> None:
    assert trial.clock() == NOON
    assert trial.bends() == frozenset()
    assert not trial.path.exists()


def test_another_process_has_the_same_time_and_weather(trial: Trial, clock: StoppedClock) -> None:
    trial.forward(timedelta(minutes=10))
    trial.bend(Bend.DELAY, on=True)
    other = Trial(trial.path, clock)
    assert other.clock() == NOON + timedelta(minutes=10)
    assert other.bends() == {Bend.DELAY}


def test_its_clock_goes_on_and_never_back(trial: Trial, clock: StoppedClock) -> None:
    trial.forward(timedelta(minutes=10))
    trial.forward(timedelta(minutes=-5))
    clock.forward(seconds=1)
    assert trial.clock() == NOON + timedelta(minutes=10, seconds=1)


def test_bends_are_switched_one_by_one(trial: Trial) -> None:
    trial.bend(Bend.DELAY, on=True)
    trial.bend(Bend.DUPLICATE, on=True)
    trial.bend(Bend.DELAY, on=False)
    assert trial.bends() == {Bend.DUPLICATE}


def test_a_gateway_that_is_down_comes_back_and_can_go_down_again(trial: Trial, clock: StoppedClock) -> None:
    trial.bend(Bend.DOWN, on=True)
    clock.forward(seconds=DOWN.total_seconds() - 1)
    assert trial.bends() == {Bend.DOWN}
    clock.forward(seconds=1)
    assert trial.bends() == frozenset()
    trial.bend(Bend.DOWN, on=True)
    assert trial.bends() == {Bend.DOWN}


def test_a_new_trial_begins_in_fair_weather_and_in_no_past(trial: Trial) -> None:
    trial.forward(timedelta(minutes=10))
    trial.bend(Bend.UNDELIVERED, on=True)
    trial.calm()
    assert trial.bends() == frozenset()
    assert trial.ahead() == timedelta(minutes=10)


@pytest.mark.parametrize(
    "kept", ["", "{", "[]", "{}", '{"ahead": "soon", "bends": {}}', '{"ahead": 1, "bends": {"gravity": null}}']
)
def test_a_file_that_is_none_is_fair_weather(tmp_path: Path, clock: StoppedClock, kept: str) -> None:
    path = tmp_path / "trial.json"
    path.write_text(kept, "utf-8")
    trial = Trial(path, clock)
    assert (trial.clock(), trial.bends()) == (NOON, frozenset())
    trial.bend(Bend.DELAY, on=True)
    assert trial.bends() == {Bend.DELAY}
