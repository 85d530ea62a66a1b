"""CONTRIBUTING's glossary has a Persian, an English and a code's word for each of the code's names, and no other."""

import re

import pytest

from tests.cases import for_each
from tests.support.glossary import BY_HEADING
from tests.support.places import ROOT

PARTS = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("## Glossary\n")[1].split("\n### ")
SECTIONS = {part.splitlines()[0]: part for part in PARTS[1:]}
ARABIC_SCRIPT = re.compile("[\u0600-\u06ff]")


def rows(section: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_it_has_a_section_for_each_sort_of_name() -> None:
    assert SECTIONS.keys() == BY_HEADING.keys()


@pytest.mark.parametrize("heading", BY_HEADING)
def test_every_name_of_the_code_is_in_its_section_and_no_other_is(heading: str) -> None:
    found = set(re.findall(r"`(\w+)`", SECTIONS[heading]))
    assert found == BY_HEADING[heading]


@pytest.mark.parametrize("heading", BY_HEADING)
def test_no_name_stands_in_two_rows_of_a_section(heading: str) -> None:
    found = [name for row in rows(SECTIONS[heading]) for name in re.findall(r"`(\w+)`", row[2])]
    assert len(found) == len(set(found))


@for_each(("heading", "row"), [(heading, row) for heading in SECTIONS for row in rows(SECTIONS[heading])])
def test_each_row_has_a_persian_and_an_english_word(heading: str, row: list[str]) -> None:
    persian, english, code = row
    assert ARABIC_SCRIPT.search(persian) and not ARABIC_SCRIPT.search(english + code)
    assert english and "`" in code, heading
