"""What train, dev and test lists hold, and what in them a user should know before training. Nothing is changed."""

import re
from collections import Counter
from pathlib import PurePosixPath

from corpus.conditions import CONDITIONS, parse_condition, printed
from corpus.lists import UtteranceList
from preparation.formats.mlaad_protocol import conditions_by_train
from settings.text import bulleted

# Rows, systems, languages, and rows by condition (in the order of CONDITIONS), counted in the organisers' zip of
# 25 November 2024; its meta.txt has the same numbers.
OFFICIAL = {
    "train": (11_100, 24, 8, None),
    "dev": (12_000, 25, 21, (3_000, 1_800, 2_700, 4_500)),
    "test": (33_900, 64, 37, (8_700, 4_800, 7_500, 12_900)),
}


def counts(table: UtteranceList) -> tuple:
    """(rows, systems, languages, rows by condition or None for a list without the four conditions)."""
    by = Counter(map(parse_condition, table.conditions))
    known = tuple(by[c] for c in CONDITIONS) if set(by) <= set(CONDITIONS) and by else None
    return len(table), len(set(table.systems)), len(set(table.languages) - {""}), known


def describe_counts(tables: dict[str, UtteranceList], official: bool) -> str:
    """A table of the counts; with `official`, whether each is MLAADv5's."""
    lines = [f"{'list':8}{'rows':>8}{'systems':>9}{'languages':>11}"]
    for split, table in tables.items():
        rows, systems, languages, by = counts(table)
        verdict = (
            ""
            if not official
            else "as official"
            if (rows, systems, languages, by) == OFFICIAL.get(split)
            else official_says(split)
        )
        lines.append(f"{split:8}{rows:8d}{systems:9d}{languages:11d}   {verdict}".rstrip())
        lines += [f"    {printed(condition):36}{n:8d}" for condition, n in zip(CONDITIONS, by or (), strict=False)]
    return "\n".join(lines)


def official_says(split: str) -> str:
    if split not in OFFICIAL:
        return ""
    rows, systems, languages, by = OFFICIAL[split]
    return f"MLAADv5 has {rows}, {systems}, {languages}" + (f"; by condition {', '.join(map(str, by))}" if by else "")


def observe(tables: dict[str, UtteranceList]) -> list[str]:
    """What a user should know, a paragraph each."""
    found = [*repeats(tables), *shared_paths(tables)]
    if "train" in tables:
        for split, table in tables.items():
            found += disagreements(split, table, tables["train"])
        found += one_language(tables["train"])
    return found + near_aliases(tables)


def repeats(tables: dict[str, UtteranceList]) -> list[str]:
    """Paths that a list names more than once."""
    found = []
    for split, table in tables.items():
        extra = Counter()
        seen = set()
        for path, system in zip(table.paths, table.systems, strict=True):
            extra[system] += path in seen
            seen.add(path)
        by = ", ".join(f"{n} of {system}" for system, n in extra.most_common() if n)
        if by:
            found.append(
                f"{split}: {extra.total()} rows repeat a path listed before ({by}). Twins make trivial trials."
            )
    return found


def shared_paths(tables: dict[str, UtteranceList]) -> list[str]:
    """Paths that two lists share: test material seen in training."""
    splits = list(tables)
    pairs = [(a, b) for i, a in enumerate(splits) for b in splits[i + 1 :]]
    shared = {(a, b): sorted(set(tables[a].paths) & set(tables[b].paths)) for a, b in pairs}
    return [bulleted(f"{a} and {b} share {len(paths)} paths", paths) for (a, b), paths in shared.items() if paths]


def disagreements(split: str, table: UtteranceList, train: UtteranceList) -> list[str]:
    """Rows whose condition says other than what the train list holds."""
    if counts(table)[3] is None:
        return []
    derived = conditions_by_train(table, train)
    wrong = Counter(
        (system, stands, follows)
        for system, stands, follows in zip(table.systems, table.conditions, derived, strict=True)
        if parse_condition(stands) != follows
    )
    return [
        f"{split}: {n} rows of {system} stand under {printed(stands)}; by the train list they are {printed(follows)}."
        for (system, stands, follows), n in wrong.most_common()
    ]


def one_language(train: UtteranceList) -> list[str]:
    """Train systems that speak one language: the language then gives the system away, or stands in for it."""
    of: dict[str, set] = {}
    for system, language in zip(train.systems, train.languages, strict=True):
        of.setdefault(system, set()).add(language)
    single = sum(len(languages) == 1 for languages in of.values())
    if not single or set(train.languages) == {""}:
        return []
    return [
        f"train: {single} of {len(of)} systems speak one language only: a model may learn the language for the system."
    ]


def near_aliases(tables: dict[str, UtteranceList]) -> list[str]:
    """Groups of labels that seem to be one system under several names, and the lists that each occurs in."""
    where = {name: [split for split, t in tables.items() if name in set(t.systems)] for name in all_systems(tables)}
    groups: list[set] = []
    for name in where:
        near = [group for group in groups if any(alike(name, other) for other in group)]
        groups = [group for group in groups if group not in near] + [set().union({name}, *near)]
    named = [
        ", ".join(f"{name} ({'+'.join(where[name])})" for name in sorted(group)) for group in groups if len(group) > 1
    ]
    if not named:
        return []
    return [bulleted("labels that are near-aliases by name: one system, or almost, under several", sorted(named))]


def all_systems(tables: dict[str, UtteranceList]) -> list[str]:
    return sorted(set().union(*(table.systems for table in tables.values())))


def alike(a: str, b: str) -> bool:
    """True where two labels differ by a suffix (vits, vits--neon), a version (xtts_v1.1, xtts_v2), or only by publisher
    (suno/bark, tts_models/…/bark). The same architecture trained on other data (css10/vits, cv/vits) is another system,
    and so are numbers of a series (A01, A02; class_1, class_2).
    """
    first, second = PurePosixPath(a.lower()), PurePosixPath(b.lower())
    if not has_word(first.name) or not has_word(second.name):
        return False
    if first.name == second.name:
        return first.parts[0] != second.parts[0]
    short, long = sorted((first.name, second.name), key=len)
    suffixed = long.startswith(short) and long[len(short)] in "-_."
    stem = without_version(short)
    return first.parent == second.parent and (suffixed or (has_word(stem) and stem == without_version(long)))


def has_word(name: str) -> bool:
    """Whether two letters or more stand together in a name."""
    return bool(re.search(r"[^\W\d_]{2}", name))


def without_version(name: str) -> str:
    """A name less the version at its end, which has a v or a point: xtts_v2, bark-1.5; not the number of a series."""
    return re.sub(r"[-_ ]?(v\d+(\.\d+)*|\d+(\.\d+)+)$", "", name)
