"""One vocabulary for conditions: every spelling is read, and one rule decides for every command."""

import doctest

import pytest

from corpus import conditions
from corpus.conditions import CONDITIONS, condition_of, conditions_of, parse_condition, printed, resolve_conditions


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(conditions).failed == 0


@pytest.mark.parametrize(
    ("system", "language", "spellings"),
    [
        (True, True, ["seen-seen", "lang_seen___model_seen", "model_seen___lang_seen"]),
        (True, False, ["seen-unseen", "lang_not_seen___model_seen", "model_seen___lang_not_seen"]),
        (False, True, ["unseen-seen", "lang_seen___model_not_seen", "unseen system, seen language"]),
        (False, False, ["unseen-unseen", "LANG_NOT_SEEN___MODEL_NOT_SEEN", "unseen_language_unseen_system"]),
    ],
)
def test_every_spelling_is_one_condition(system, language, spellings):
    condition = condition_of(system, language)
    for spelling in (condition, printed(condition), *spellings):
        assert parse_condition(spelling) == condition and printed(spelling) == printed(condition)


def test_the_order_is_fixed_and_what_is_printed_says_both():
    assert [printed(condition) for condition in CONDITIONS] == [
        "seen system, seen language",
        "seen system, unseen language",
        "unseen system, seen language",
        "unseen system, unseen language",
    ]


def test_a_condition_of_a_lists_own_stays_as_it_is():
    assert parse_condition("noisy_phone") == printed("noisy_phone") == "noisy_phone"


def test_a_complete_column_wins_over_what_training_has_seen():
    systems, languages = ["a", "b"], ["en", "fi"]
    trained = conditions_of(systems, languages, {"a"}, {"en"})
    given = ["unseen-seen", "lang_not_seen___model_seen"]
    assert resolve_conditions(given, systems, languages, {"a"}, {"en"}) == [CONDITIONS[2], CONDITIONS[1]]
    for incomplete in (None, ["", ""], ["unseen-seen", ""]):
        assert resolve_conditions(incomplete, systems, languages, ["a"], ["en"]) == trained
        assert resolve_conditions(incomplete, systems, languages) is None
        assert resolve_conditions(incomplete, systems, ["en", ""], {"a"}, {"en"}) is None
