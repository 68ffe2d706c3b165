"""Whether training has met the system and the language of an evaluation utterance: four conditions, one vocabulary.

In data a condition reads `unseen_system_seen_language`; for people, "unseen system, seen language". Lists may spell it
in other ways, which are read too: the official protocol's `lang_seen___model_not_seen`, and `unseen-seen` (the system
first). A list may also have conditions of its own (`noisy`); these stay as they are.
"""

from collections.abc import Collection, Sequence

SEEN = ("seen", "unseen")
CONDITIONS = tuple(f"{system}_system_{language}_language" for system in SEEN for language in SEEN)


def condition_of(system_seen: bool, language_seen: bool) -> str:
    """The condition of an utterance, one of `CONDITIONS`.

    Examples
    --------
    >>> condition_of(system_seen=False, language_seen=True)
    'unseen_system_seen_language'
    """
    return f"{SEEN[not system_seen]}_system_{SEEN[not language_seen]}_language"


def parse_condition(text: str) -> str:
    """One of `CONDITIONS` for any of its spellings; a text that is none of them, as it is.

    Examples
    --------
    >>> parse_condition("lang_seen___model_not_seen"), parse_condition("unseen-seen"), parse_condition("noisy")
    ('unseen_system_seen_language', 'unseen_system_seen_language', 'noisy')
    """
    return SPELLINGS.get(" ".join(text.lower().split()), text)


def printed(condition: str) -> str:
    """A condition as people read it; one of a list's own, as it is.

    Examples
    --------
    >>> printed("unseen_system_seen_language")
    'unseen system, seen language'
    """
    return PRINTED.get(parse_condition(condition), condition)


def conditions_of(
    systems: Sequence[str],
    languages: Sequence[str],
    train_systems: Collection[str],
    train_languages: Collection[str],
) -> list[str]:
    """The condition of each of N utterances, by the systems and languages of the train list.

    Examples
    --------
    >>> conditions_of(["vits", "bark"], ["en", "fi"], {"vits"}, {"en"})
    ['seen_system_seen_language', 'unseen_system_unseen_language']
    """
    train_systems, train_languages = set(train_systems), set(train_languages)
    return [
        condition_of(system in train_systems, language in train_languages)
        for system, language in zip(systems, languages, strict=True)
    ]


def resolve_conditions(
    given: Sequence[str] | None,
    systems: Sequence[str],
    languages: Sequence[str] | None,
    train_systems: Collection[str] = (),
    train_languages: Collection[str] = (),
) -> list[str] | None:
    """The conditions by which a list is reported: one rule for every command.

    Parameters
    ----------
    given : N texts, the list's own column; '' where a row has none
    systems, languages : N texts each, of the list; an unknown language is ''
    train_systems, train_languages : of the train list, as the checkpoint holds them; empty where they are not known

    Returns
    -------
    The list's own conditions where every row has one; else what the train list makes of its systems and languages;
    None where these are not all known.
    """
    if given is not None and len(given) and all(given):
        return [parse_condition(condition) for condition in given]
    if languages is not None and all(languages) and len(train_systems) and len(train_languages):
        return conditions_of(systems, languages, train_systems, train_languages)
    return None


def _spellings() -> dict[str, str]:
    """Every spelling of a condition to the one of `CONDITIONS`."""
    known = {}
    for condition in CONDITIONS:
        system, _, language, _ = condition.split("_")
        model, lang = (
            f"{what}_{'' if seen == 'seen' else 'not_'}seen" for what, seen in (("model", system), ("lang", language))
        )
        spellings = (
            condition,
            f"{language}_language_{system}_system",
            f"{system} system, {language} language",
            f"{language} language, {system} system",
            f"{system}-{language}",
            f"{lang}___{model}",
            f"{model}___{lang}",
        )
        known |= dict.fromkeys(spellings, condition)
    return known


SPELLINGS = _spellings()
PRINTED = {condition: "{} {}, {} {}".format(*condition.split("_")) for condition in CONDITIONS}
