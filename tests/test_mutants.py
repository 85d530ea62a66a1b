"""The mutants can be tried: each line that `make mutants` breaks stands where it stood, and so do its tests."""

from tests.cases import for_each
from tests.mutants import Mutant, fault, mutants


@for_each("mutant", mutants())
def test_each_is_found_with_its_tests(mutant: Mutant) -> None:
    assert fault(mutant) is None


def test_there_are_thirty_and_no_two_alike() -> None:
    found = mutants()
    assert len(set(found)) == len(found) >= 30
