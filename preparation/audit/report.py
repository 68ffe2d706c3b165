"""The findings of an audit as Markdown, most urgent first."""

from settings.text import for_markdown, limited

HEARD = (
    "Every system weighs the same in these shares; systems with fewer than 10 files are left out. The trainer hears"
    " 16 kHz audio: a sampling rate, and a bandwidth above 8 kHz, reach it only by what they do below 8 kHz."
)


def markdown(findings: dict) -> str:
    """The whole report."""
    parts = ["# Audit of the audio", verdict(findings), *duplicates(findings)]
    for source, found in findings["lists"].items():
        parts += [f"## {for_markdown(source)}", overview(found), *culprits(found), shortcuts(found), systems(found)]
    return "\n\n".join(part for part in parts if part) + "\n"


def verdict(findings: dict) -> str:
    unusable = sum(found["files"] - found["usable"] for found in findings["lists"].values())
    if unusable:
        return f"**Training would fail: {unusable} files cannot be used.** They are named below."
    return "Every file can be used."


def overview(found: dict) -> str:
    text = f"{found['files']} rows, {found['usable']} usable, {found['hours']:.2f} hours."
    if found["seconds"]:
        low, middle, high = found["seconds"]
        text += f" Durations: half are above {middle:.2f} s, 90 % between {low:.2f} and {high:.2f} s."
    return text


def culprits(found: dict) -> list[str]:
    """Problems, then doubtful files: how many, and the first of each kind."""
    parts = [bullets(f"**{kind}: {len(places)} files**", places) for kind, places in found["problems"].items()]
    return parts + [bullets(f"{kind}: {len(places)} files", places) for kind, places in found["doubtful"].items()]


def bullets(heading: str, places: list[str]) -> str:
    return "\n".join([heading, "", *(f"- {for_markdown(place)}" for place in limited(places))])


def duplicates(findings: dict) -> list[str]:
    """Identical audio and shared paths."""
    groups, parts = findings["identical_audio"], []
    kinds = {
        "Identical audio under different labels": [g for g in groups if len(g["systems"]) > 1],
        "Identical audio across lists": [g for g in groups if len(g["systems"]) == 1 and g["cross"]],
        "Identical audio inside a list": [g for g in groups if len(g["systems"]) == 1 and not g["cross"]],
    }
    for heading, members in kinds.items():
        if members:
            parts.append(bullets(f"**{heading}: {len(members)} groups**", [" = ".join(g["places"]) for g in members]))
    if findings["shared_paths"]:
        heading = f"**Paths that several lists name: {len(findings['shared_paths'])}**"
        parts.append(bullets(heading, findings["shared_paths"]))
    return parts


def shortcuts(found: dict) -> str:
    """The table of numbers that predict the system, and a plain sentence for each that does."""
    known = {name: s for name, s in found["shortcuts"].items() if s}
    if not known:
        return "Shortcuts were not looked for: fewer than two systems have enough files."
    lines = ["### What gives a system away", ""]
    lines += ["| one number of a file | names its system right | guessing | finds alone |", "| --- | --- | --- | --- |"]
    for name, s in sorted(known.items(), key=lambda item: -item[1]["accuracy"]):
        alone = ", ".join(for_markdown(system) for system, _, _ in s["alone"]) or "-"
        lines.append(f"| {name} | {s['accuracy']:.0%} | {s['chance']:.0%} | {alone} |")
    warnings = [warning(name, s) for name, s in known.items() if s["suspicious"]]
    return "\n".join([*lines, "", HEARD, "", *warnings]).rstrip()


def warning(name: str, s: dict) -> str:
    text = f"- **Warning:** {name} alone names the right one of {s['systems']} systems"
    text += f" for {s['accuracy']:.0%} of the files (guessing: {s['chance']:.0%})."
    if s["alone"]:
        alone = (
            f"{for_markdown(system)} ({recall:.0%} of its files, {precision:.0%} right)"
            for system, recall, precision in s["alone"]
        )
        text += f" It gives away {', '.join(alone)}."
    return text


def systems(found: dict) -> str:
    """A row for each system: sampling rates, then medians (and the 5th to the 95th percentile)."""
    if not found["systems"]:
        return ""
    lines = [
        "### Systems",
        "",
        "Medians, and in brackets the 5th to the 95th percentile.",
        "",
        "| system | files | rates (Hz) | bandwidth (Hz) | loudness (LUFS) | leading silence (s) | duration (s) |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in found["systems"].items():
        only = len(row["rates"]) == 1
        rates = ", ".join(str(rate) if only else f"{rate} ({n})" for rate, n in row["rates"].items())
        cells = [
            for_markdown(name),
            str(row["files"]),
            rates,
            median_and_range(row["bandwidth"], 0),
            median_and_range(row["loudness"], 1),
        ]
        lines.append(
            f"| {' | '.join([*cells, median_and_range(row['leading'], 2), median_and_range(row['seconds'], 2)])} |"
        )
    return "\n".join(lines)


def median_and_range(spread: list[float] | None, digits: int) -> str:
    if spread is None:
        return "-"
    low, middle, high = (f"{value:.{digits}f}" for value in spread)
    return f"{middle} ({low} to {high})"
