"""Train, dev and test of data that has none, in MLAAD's manner: seen and unseen systems and languages in dev and test.

Half of the systems is seen, and the half of the languages with most utterances; a quarter of the systems is unseen in
dev and another quarter in test. No utterance is in two lists.
"""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np

from corpus.lists import UtteranceList
from preparation.formats.mlaad_protocol import TRAIN, conditions_by_train
from settings.errors import DataError

FEWEST_SYSTEMS = 4
TRAIN_SHARE = 0.8  # of a seen system's utterances in a seen language; the rest goes to dev and test
DRAWS = 50  # of systems, of which the one is taken that fills most conditions


def split(table: UtteranceList, seed: int) -> dict[str, UtteranceList]:
    """The lists train, dev and test, a function of the table and the seed.

    Raises
    ------
    DataError
        There are fewer than FEWEST_SYSTEMS systems, or fewer than two of them speak a seen language.
    """
    random = np.random.default_rng(seed)
    languages = seen_languages(table)
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, pair in enumerate(zip(table.systems, table.languages, strict=True)):
        groups[pair].append(row)
    draws = [homes_of_systems(table, groups, languages, random) for _ in range(DRAWS)]
    home = max(draws, key=lambda drawn: conditions_filled(drawn, groups, languages))
    rows: dict[str, list[int]] = {"train": [], "dev": [], "test": []}
    for (system, language), members in sorted(groups.items()):
        shuffled = random.permutation(members).tolist()
        if home[system] != "train":
            rows[home[system]] += shuffled
            continue
        train = max(1, round(len(shuffled) * TRAIN_SHARE)) if language in languages else 0
        rows["train"] += shuffled[:train]
        rows["dev"] += shuffled[train::2]
        rows["test"] += shuffled[train + 1 :: 2]
    lists = {name: table.take(sorted(found)) for name, found in rows.items()}
    train = replace(lists["train"], conditions=[TRAIN] * len(lists["train"]))
    return {"train": train} | {
        name: replace(lists[name], conditions=conditions_by_train(lists[name], train)) for name in ("dev", "test")
    }


def seen_languages(table: UtteranceList) -> set[str]:
    """The half of the languages with most utterances, rounded up."""
    ranked = sorted(Counter(table.languages).items(), key=lambda item: (-item[1], item[0]))
    return {language for language, _ in ranked[: (len(ranked) + 1) // 2]}


def homes_of_systems(table: UtteranceList, groups: dict, languages: set[str], random: np.random.Generator) -> dict:
    """System to the list that it is at home in. Only a system that speaks a seen language can be a train system."""
    systems = table.classes()
    if len(systems) < FEWEST_SYSTEMS:
        raise DataError(f"{table.source}: {len(systems)} systems; a split needs {FEWEST_SYSTEMS} or more")
    speaking = {system for system, language in groups if language in languages}
    drawn = random.permutation(systems).tolist()
    train = [system for system in drawn if system in speaking][: len(systems) // 2]
    if len(train) < 2:
        raise DataError(f"{table.source}: only {len(train)} system speaks any of {', '.join(sorted(languages))}")
    others = [system for system in drawn if system not in train]
    return dict.fromkeys(train, "train") | {s: ("dev", "test")[i % 2] for i, s in enumerate(others)}


def conditions_filled(home: dict, groups: dict, languages: set[str]) -> int:
    """How many of the conditions of dev and test, eight in all, would have rows."""
    filled = set()
    for system, language in groups:
        lists = ("dev", "test") if home[system] == "train" else (home[system],)
        filled |= {(name, home[system] == "train", language in languages) for name in lists}
    return len(filled)
