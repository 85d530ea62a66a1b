"""What is evidence of what: texts aimed at the rules, and what must hold of any text of the lexicon's words."""

import csv
from itertools import pairwise

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dialogs.classify import classify, hands_back_code
from dialogs.parsing import lexicon
from dialogs.parsing.lexicon import Meaning
from dialogs.parsing.normalise import fold, national_id
from dialogs.parsing.parse import explain, from_staff, parse
from dialogs.parsing.rules import NOTHING, RULES, decide
from dialogs.parsing.tokens import read
from dialogs.replies.phrases import languages
from dialogs.vocabulary import Asker, CodeResult, Event, Evidence, Facts, Intent, Naming, ParsedMessage, State
from tests.cases import for_each
from tests.support.places import TESTS

DATA = TESTS / "data"

ID, CODE = "8052916372", "482913"
OWN = "+989351112217"  # whose last ten digits pass for an ID, as those of the next one do
MOBILE = "9121234507"
PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
FILLED = {
    "id": ID,
    "id_fa": ID.translate(PERSIAN),
    "mob10v": MOBILE,
    "mob10v_fa": MOBILE.translate(PERSIAN),
    "own10": OWN[-10:],
    "mob": f"0{OWN[-10:]}",
    "code": CODE,
}

# What a reply tells of the intent, for what the field wants in terms of replies.
SHOWN = {
    "a code": {Intent.RECOVER, Intent.CHANGE, Intent.STAFF_RESET},
    "new password": {Intent.CODE},
    "opted_out": {Intent.OPT_OUT},
    "not_opted_out": set(Intent) - {Intent.OPT_OUT},
    "ask_national_id": {Intent.RECOVER},
    "neutral": {Intent.RECOVER},
    "help": {Intent.UNKNOWN, Intent.HELP},
}


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def wanted(row: dict[str, str]) -> set[Intent]:
    if "|" in row["wanted"] or row["wanted"] in set(Intent):
        return {Intent(it) for it in row["wanted"].split("|")}
    return set[Intent]().union(*(SHOWN[it] for it in row["wanted"].split(" or ")))


def meant(heard: ParsedMessage, *, code_is_out: bool) -> Intent:
    guess = hands_back_code(
        heard, State.AWAITING_CODE, has_live_code=code_is_out, own_password_allowed=False, opted_out=False
    )
    return Intent.CODE if guess else heard.intent


@for_each("row", [*rows("field_texts.csv"), *rows("aimed_texts.csv")])
def test_it_understands_texts_that_are_aimed_at_the_rules(row: dict[str, str]) -> None:
    heard = parse(row["text"].format(**FILLED), sender=OWN)
    heard = from_staff(heard) if row["when"] == "from staff" else heard
    intent = meant(heard, code_is_out="out" in row["when"])
    assert intent in wanted(row)
    assert heard.code == (CODE if intent is Intent.CODE else None) or row["class"] == "another service's code"
    named = "{id" in row["text"] and intent not in {Intent.UNKNOWN, Intent.CODE}
    assert heard.national_id == (ID if named or heard.naming is Naming.ONE else None)


def known_words() -> list[str]:
    """Every keyword of every language, as it is written there, and the numbers that are commands."""
    found: list[str] = []
    for language in languages():
        for lists in lexicon.lists_of(language):
            for kind in ("words", "stems"):
                found += [word for listed in lists.get(kind, {}).values() for word in listed]
    return sorted({*found, "11", "12"})


@settings(deadline=None)  # the machine may be busy
@given(st.sampled_from(sorted(lexicon.written())), st.data())
def test_a_keyword_may_be_written_apart_anywhere(keyword: str, data: st.DataObject) -> None:
    assume(len(keyword) > 1)
    places = data.draw(st.sets(st.integers(1, len(keyword) - 1), min_size=1, max_size=lexicon.LONGEST - 1))
    ends = [0, *sorted(places), len(keyword)]
    token, *more = read(" ".join(keyword[start:end] for start, end in pairwise(ends)), 6).tokens
    assert token.word == lexicon.find(keyword)
    assert not more


def test_a_doubled_letter_at_a_keywords_end_may_stand_apart() -> None:
    doubled = [word for word in lexicon.written() if word.isalpha() and word[-1] == word[-2:-1]]
    assert "free" in doubled
    for word in doubled:
        assert [token.word for token in read(f"{word[:-1]} {word[-1]}", 6).tokens] == [lexicon.find(word)]


def test_no_negation_is_swallowed_where_two_letters_meet() -> None:
    tried = 0
    for language in languages():
        for meaning in (Meaning.CANCEL, Meaning.DECLINED, Meaning.STOP, Meaning.REFUSAL, Meaning.START):
            for first, second in (it.split() for it in keywords(language, meaning) if it.count(" ") == 1):
                joined = fold(first + first[-1] + second)
                if joined not in lexicon.written():
                    tried += 1
                    token, *_ = read(f"{first} {first[-1]}{second}", 6).tokens
                    assert meaning not in token.meanings or lexicon.find(fold(first)) == token.word, (first, second)
    assert tried > 100


def test_no_look_alike_hides_what_a_word_of_other_business_means() -> None:
    hidden = {Meaning.ELSEWHERE, Meaning.LABEL}
    for language in languages():
        for lists in lexicon.lists_of(language):
            alike = {word for meaning, word in lexicon.keywords_in(lists["words"]) if meaning is Meaning.ALIKE}
            others = {word for meaning, word in lexicon.keywords_in(lists["stems"]) if meaning in hidden}
            assert not alike & others


def valid_ids() -> st.SearchStrategy[str]:
    nine = st.text("0123456789", min_size=9, max_size=9)
    ids = nine.map(lambda digits: [digits + last for last in "0123456789" if national_id(digits + last)])
    return ids.filter(bool).map(lambda found: found[0])


def spelled(number: str) -> st.SearchStrategy[str]:
    """A number, digit by digit, in the words of one language."""
    books = st.sampled_from([book["numerals"] for book in languages().values()])
    each = books.flatmap(lambda book: st.tuples(*(st.sampled_from(book[int(digit)]) for digit in number)))
    return each.map(" ".join)


@settings(deadline=None)  # the machine may be busy
@given(
    valid_ids().flatmap(lambda number: st.tuples(st.just(number), spelled(number))),
    st.sampled_from([3, *range(5, 11)]),  # six digits beside four words are a code
)
def test_it_reads_an_id_in_words(case: tuple[str, str], in_words: int) -> None:
    number, words = case
    for text in (words, " ".join(words.split()[:in_words]) + " " + number[in_words:]):
        assert parse(f"ramz {text}").national_id == number


@settings(deadline=None)  # the machine may be busy
@given(st.text("0123456789", min_size=1, max_size=2).flatmap(spelled), valid_ids(), st.text("0123456789", max_size=6))
def test_a_digit_in_words_adds_nothing_to_a_number_in_digits(word: str, number: str, code: str) -> None:
    for said in (f"{word} {number}", f"{number} {word}", f"{word} {code}", code):
        in_digits = "".join(filter(str.isdigit, said))
        assert {it.digits for it in read(said, 6).numbers} == {it.digits for it in read(in_digits, 6).numbers}


@settings(deadline=None)  # the machine may be busy
@given(st.sampled_from(known_words()), st.sampled_from("?؟"), st.sampled_from(["", " "]))
def test_a_question_of_one_word_does_nothing(word: str, mark: str, space: str) -> None:
    said = parse(f"{word}{space}{mark}")
    assert said.intent not in {Intent.CANCEL, Intent.OPT_IN}
    assert said.intent is not Intent.OPT_OUT or read(word, 6).says(Meaning.MESSAGES)


some_words = st.lists(st.sampled_from(known_words()), max_size=5, unique=True).map(" ".join)


@settings(deadline=None)  # the machine may be busy
@given(some_words, valid_ids(), some_words)
def test_no_text_with_an_id_opts_out_or_cancels(before: str, number: str, after: str) -> None:
    heard = parse(f"{before} {number} {after}")
    assert heard.intent not in {Intent.OPT_OUT, Intent.CANCEL, Intent.OPT_IN, Intent.HELP}
    assert heard.national_id == number or heard.naming in {Naming.NOBODY, Naming.SEVERAL, Naming.INVALID}
    assert from_staff(heard).intent not in {Intent.OPT_OUT, Intent.CANCEL, Intent.OPT_IN, Intent.HELP}


@settings(deadline=None)  # the machine may be busy
@given(some_words, st.text("0123456789", min_size=6, max_size=6), some_words, st.sampled_from([True, False]))
@example(before="avaz", code="000000", after="11 12", own_password_allowed=False)
def test_a_code_that_is_out_is_tried_whatever_stands_beside_it(
    before: str, code: str, after: str, own_password_allowed: bool
) -> None:
    heard = parse(f"{before} {code} {after}")
    assert heard.code == code
    assert hands_back_code(
        heard, State.AWAITING_CODE, has_live_code=True, own_password_allowed=own_password_allowed, opted_out=False
    )
    assert classify(heard, Facts(State.AWAITING_CODE, result=CodeResult.RIGHT)) is Event.RIGHT_CODE


@settings(deadline=None)  # the machine may be busy
@given(some_words, st.text("0123456789", min_size=6, max_size=6), valid_ids())
def test_a_code_beside_an_id_is_tried_too(before: str, code: str, number: str) -> None:
    heard = parse(f"{before} {number}، {code}")
    assert heard.code == code
    assert hands_back_code(heard, State.AWAITING_CODE, has_live_code=True, own_password_allowed=False, opted_out=False)


ENDING = {Meaning.STOP, Meaning.REFUSAL, Meaning.CANCEL, Meaning.MESSAGES}


@settings(deadline=None)  # the machine may be busy
@given(
    st.lists(st.sampled_from(known_words()), max_size=6),
    st.sampled_from(["xyzzy", "شده", "است", "cancelled", "غیرفعال"]),
)
def test_no_text_that_says_more_opts_out_or_cancels(said: list[str], more: str) -> None:
    for place in range(len(said) + 1):
        text = " . ".join([*said[:place], more, *said[place:]])
        assert parse(text).intent not in {Intent.OPT_OUT, Intent.CANCEL} or _joins(said, place, more)


def keywords(language: str, meaning: Meaning) -> list[str]:
    """The keywords of one meaning, as the language's file has them."""
    lists = [kinds.get(kind, {}) for kinds in lexicon.lists_of(language) for kind in ("words", "stems")]
    return [word for each in lists for word in each.get(meaning, ())]


@settings(deadline=None)  # the machine may be busy
@given(st.sampled_from(sorted(languages())), st.data())
def test_messages_and_a_refusal_opt_out(language: str, data: st.DataObject) -> None:
    messages, refusal, courtesy = (
        data.draw(st.sampled_from(keywords(language, meaning)))
        for meaning in (Meaning.MESSAGES, Meaning.REFUSAL, Meaning.COURTESY)
    )
    spoken = [messages, refusal] if language in {"fa", "ckb"} else [refusal, messages]
    assert parse(" ".join(spoken)).intent is Intent.OPT_OUT
    assert parse(f"{' '.join(spoken)}. {courtesy}").intent is Intent.OPT_OUT


def _joins(said: list[str], place: int, more: str) -> bool:
    """Whether the word makes a keyword with its neighbours: what follows a stop stands for something else then."""
    beside = [*said[max(0, place - 3) : place], more, *said[place : place + 3]]
    return any(
        lexicon.find("".join("".join(beside[a:b]).split()))
        for a in range(len(beside))
        for b in range(a + 2, len(beside) + 1)
    )


def test_a_wrong_code_beside_a_keyword_and_an_id_is_a_request() -> None:
    asked, unasked = parse(f"رمز {ID} {CODE}"), parse(f"{ID} {CODE}")
    wrong = Facts(State.AWAITING_CODE, asker=Asker.OWNER, result=CodeResult.WRONG)
    assert classify(asked, wrong) is Event.ASKED
    assert classify(unasked, wrong) is Event.WRONG_CODE
    for result, event in (
        (CodeResult.LAST_WRONG, Event.LAST_WRONG_CODE),
        (CodeResult.LOCKING_WRONG, Event.LOCKING_WRONG_CODE),
    ):
        assert classify(asked, Facts(State.AWAITING_CODE, asker=Asker.OWNER, result=result)) is event


# The table


def test_every_rule_decides_some_text() -> None:
    decided = {NOTHING}
    for row in [*rows("field_texts.csv"), *rows("aimed_texts.csv"), *rows("inbound_more.csv")]:
        for staff in (False, True):
            text = row["text"] if "intent" in row else row["text"].format(**FILLED)
            decided |= {explain(text, 6, OWN, code_is_out=out, staff=staff).rule for out in (False, True)}
    assert {rule.name for rule in RULES} == {rule.name for rule in decided} - {NOTHING.name}


def test_every_rule_has_a_name_of_its_own_and_can_hold() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.given and rule.given.isdisjoint(rule.unless) for rule in RULES)


@settings(deadline=None)  # the machine may be busy
@given(st.frozensets(st.sampled_from(Evidence)))
def test_hard_evidence_stands_above_words(evidence: frozenset[Evidence]) -> None:
    intent = decide(evidence).means
    if {Evidence.CODE, Evidence.CODE_IS_OUT} <= evidence:
        assert intent is Intent.CODE
    elif Evidence.ID in evidence:
        assert intent not in {Intent.OPT_OUT, Intent.OPT_IN, Intent.CANCEL, Intent.HELP}
    if Evidence.FROM_STAFF not in evidence:
        assert intent not in {Intent.STAFF_STATS, Intent.STAFF_STATUS, Intent.STAFF_UNLOCK, Intent.STAFF_MOBILE}


def test_it_tells_which_rule_and_which_words_decided() -> None:
    rule, said = explain(f"سلام لغو رمز {ID}", code_is_out=False, staff=False)
    assert (rule.name, said) == ("an ID", (ID,))
    assert explain("سلام 11", code_is_out=False, staff=False) == (decide(frozenset({Evidence.STOP_COMMAND})), ("11",))
    rule, said = explain(f"لغو {CODE}", code_is_out=True, staff=False)
    assert (rule.means, said) == (Intent.CODE, (CODE,))
