"""The long fault test in short: a few faults on both databases, and the books are sound afterwards."""

from collections.abc import Callable

import pytest

from tests.soak.faults import FAULTS
from tests.soak.run import Plan, report, run

pytestmark = pytest.mark.process

SEED = 12
FEW = ("kill_worker", "provider_reset", "lock_table", "sigterm", "receipts_twice")
RATE, LONGEST_SECONDS, SPARE_SECONDS = 4.0, 2.0, 300.0


def test_a_short_soak_loses_nothing(record_property: Callable[[str, object], None]) -> None:
    assert set(FEW) <= FAULTS.keys()
    for result in run(Plan(SEED, 0.2, FEW, rate=RATE, longest=LONGEST_SECONDS, spare=SPARE_SECONDS)):
        record_property(result.name, shown := report(result))
        print(shown)
        assert result.is_well, shown
        assert result.happened and result.counts["codes used"] > 10, shown
