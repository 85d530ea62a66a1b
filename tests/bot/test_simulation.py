"""A trial's state, its clock and its carrier's faults: one file that every process reads."""

from datetime import timedelta
from pathlib import Path

import pytest

from bot.simulation.state import DOWN, CarrierFault, Simulation
from tests.support.parts import NOON, StoppedClock


def test_it_is_fair_where_nothing_was_changed(simulation: Simulation) -> None:
    assert simulation.clock() == NOON
    assert simulation.faults() == frozenset()
    assert not simulation.path.exists()


def test_another_process_has_the_same_time_and_weather(simulation: Simulation, clock: StoppedClock) -> None:
    simulation.forward(timedelta(minutes=10))
    simulation.fault(CarrierFault.DELAY, on=True)
    other = Simulation(simulation.path, clock)
    assert other.clock() == NOON + timedelta(minutes=10)
    assert other.faults() == {CarrierFault.DELAY}


def test_its_clock_goes_on_and_never_back(simulation: Simulation, clock: StoppedClock) -> None:
    simulation.forward(timedelta(minutes=10))
    simulation.forward(timedelta(minutes=-5))
    clock.forward(seconds=1)
    assert simulation.clock() == NOON + timedelta(minutes=10, seconds=1)


def test_bends_are_switched_one_by_one(simulation: Simulation) -> None:
    simulation.fault(CarrierFault.DELAY, on=True)
    simulation.fault(CarrierFault.DUPLICATE, on=True)
    simulation.fault(CarrierFault.DELAY, on=False)
    assert simulation.faults() == {CarrierFault.DUPLICATE}


def test_a_gateway_that_is_down_comes_back_and_can_go_down_again(simulation: Simulation, clock: StoppedClock) -> None:
    simulation.fault(CarrierFault.DOWN, on=True)
    clock.forward(seconds=DOWN.total_seconds() - 1)
    assert simulation.faults() == {CarrierFault.DOWN}
    clock.forward(seconds=1)
    assert simulation.faults() == frozenset()
    simulation.fault(CarrierFault.DOWN, on=True)
    assert simulation.faults() == {CarrierFault.DOWN}


def test_a_new_trial_begins_in_fair_weather_and_in_no_past(simulation: Simulation) -> None:
    simulation.forward(timedelta(minutes=10))
    simulation.fault(CarrierFault.UNDELIVERED, on=True)
    simulation.end_faults()
    assert simulation.faults() == frozenset()
    assert simulation.ahead() == timedelta(minutes=10)


@pytest.mark.parametrize(
    "kept", ["", "{", "[]", "{}", '{"ahead": "soon", "bends": {}}', '{"ahead": 1, "bends": {"gravity": null}}']
)
def test_a_file_that_is_none_is_fair_weather(tmp_path: Path, clock: StoppedClock, kept: str) -> None:
    path = tmp_path / "trial.json"
    path.write_text(kept, "utf-8")
    simulation = Simulation(path, clock)
    assert (simulation.clock(), simulation.faults()) == (NOON, frozenset())
    simulation.fault(CarrierFault.DELAY, on=True)
    assert simulation.faults() == {CarrierFault.DELAY}
