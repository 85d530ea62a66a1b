"""One test for many cases, where a case takes microseconds: a test each would cost more than what it tests."""

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import Parameter, signature
from typing import Any

Test = Callable[..., None]


def for_each(names: str | tuple[str, ...], cases: Iterable[Any]) -> Callable[[Test], Test]:
    """Like pytest.mark.parametrize, but all the cases are one test, with one set-up.

    Every case is tried. The ExceptionGroup that is raised has the error of each that failed, with the case in a note.
    """
    tried = list(cases)
    assert tried, "no case"

    def decorate(test: Test) -> Test:
        @wraps(test)
        def whole(*own: object, **fixtures: object) -> None:
            failed = list[Exception]()
            for case in tried:
                values = dict(zip(names, case, strict=True)) if isinstance(names, tuple) else {names: case}
                try:
                    test(*own, **fixtures, **values)
                except Exception as error:
                    error.add_note(f"with {', '.join(f'{name}={value!r}' for name, value in values.items())}")
                    failed.append(error)
            if failed:
                raise ExceptionGroup(f"{len(failed)} of {len(tried)} cases", failed)

        whole.__signature__ = _without(test, names)  # type: ignore[attr-defined]
        return whole

    return decorate


def _without(test: Test, names: str | tuple[str, ...]) -> Any:
    """The signature that is left when the cases' names are taken out: what pytest hands in."""
    taken = set(names) if isinstance(names, tuple) else {names}
    whole = signature(test)
    left: list[Parameter] = [it for name, it in whole.parameters.items() if name not in taken]
    assert len(left) == len(whole.parameters) - len(taken), f"{test.__name__} does not take {taken}"
    return whole.replace(parameters=left)
