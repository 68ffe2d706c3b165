"""Answers as text for people, as JSON lines, and as CSV rows; and the header that says what they rest on."""

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import asdict

from corpus.conditions import printed
from identification.answers import ANOTHER, Answer
from identification.bank import Bank
from identification.verbal import Scale
from identification.words import UNKNOWN

LN10 = math.log(10)
GENUINE = "genuine speech is not excluded: every ratio is about which system, given that one made the recording"


def limits(bank: Bank, source: str, prior: str = "uniform") -> dict:
    """What an answer rests on, as plain data."""
    found = {
        "bank": source,
        "model": bank.model,
        "checkpoint": bank.checkpoint,
        "systems": len(bank.systems),
        "utterances": int(bank.counts.sum()),
        "enrolled": max(bank.dates),
        "backend": bank.backend.name,
        "scorer": bank.scorer,
        "calibration": None,
        "genuine_speech": GENUINE,
    }
    if bank.calibration is None:
        return found
    about, ratios = bank.calibration.about, bank.calibration.identify
    return found | {
        "prior": prior,
        "calibration": about
        | {
            "log10_lr_bounds": [ratios.low / LN10, ratios.high / LN10],
            "threshold_log10_lr": bank.calibration.threshold / LN10,
        },
    }


def header(found: dict, scale: Scale | None = None) -> str:
    """The limits in lines for people, each beginning with #."""
    lines = [
        f"model {found['model']} (digest {found['checkpoint'][:12] or 'unknown'})",
        f"bank {found['bank']}: {found['systems']} systems, {found['utterances']:,} utterances, enrolled until"
        f" {found['enrolled']}; {found['scorer']} scores, back-end {found['backend']}",
    ]
    about = found["calibration"]
    if about is None:
        lines.append("NOT CALIBRATED: scores only, no likelihood ratios, nothing is named (run: identify.py calibrate)")
    else:
        low, high = about["log10_lr_bounds"]
        others = ", each left out in turn" if about.get("left_out") else f" and {about['unknown']} others"
        lines.append(
            f"calibrated {about['date']} with {about['list']}: {about['known']} enrolled systems{others};"
            f" Cllr {about['cllr_after']:.3f} (at best {about['min_cllr']:.3f}); log10 LR {low:.2f} to {high:.2f}"
        )
        lines.append(
            f"named from log10 LR {about['threshold_log10_lr']:+.2f} on, unbounded ({about['rule']}: of unknown systems"
            f" {about['false_alarm']:.1%} were named, of known ones {about['miss']:.1%} missed); prior {found['prior']}"
        )
    if scale is not None and scale.source:
        lines.append(f"words: {scale.source}")
    return "\n".join(f"# {line}" for line in [*lines, GENUINE])


def verdict_line(answer: Answer, scale: Scale) -> str:
    """The answer in a sentence."""
    if not answer.candidates:
        return f"not read: {answer.reason}"
    best = answer.candidates[0]
    if best.log10_lr is None:
        return f"most alike: {best.system} (score {best.score:.3f}); not calibrated, so nothing is named"
    sentence = scale.sentence(best.log10_lr, best.system, ANOTHER)
    bound = "; this list supports no more" if best.at_bound else ""
    if answer.verdict == UNKNOWN:
        return f"unknown: no system of the bank reaches the threshold; the nearest, {best.system}, {sentence}{bound}"
    return f"{sentence}{bound}"


def for_people(answer: Answer, scale: Scale, pair: tuple[str, str] | None = None) -> str:
    """A recording's answer in lines."""
    head = f"{answer.path}  ({answer.seconds:.1f} s)" if answer.candidates else answer.path
    lines = [head, f"  {verdict_line(answer, scale)}"]
    width = max((len(c.system) for c in answer.candidates), default=0)
    for rank, c in enumerate(answer.candidates, 1):
        line = f"  {rank:>2}. {c.system:<{width}}  score {c.score:+.3f}"
        if c.log10_lr is not None:
            line += f"  log10 LR {c.log10_lr:+.2f} [{c.low:+.2f}, {c.high:+.2f}]"
        if c.posterior is not None:
            line += f"  posterior {c.posterior:.3f}"
        lines.append(line)
    if answer.unknown_posterior is not None:
        lines.append(f"      {UNKNOWN:<{width}}  {'':<47}posterior {answer.unknown_posterior:.3f}")
    if answer.against is not None and pair:
        value, low, high = answer.against
        lines.append(f"  {scale.sentence(value, *pair)} [{low:+.2f}, {high:+.2f}]")
    lines += [f"  near: {cosine:.3f}  {path} ({system})" for path, system, cosine in answer.nearest]
    lines += [f"  note: {remark}" for remark in answer.remarks]
    return "\n".join(lines)


def as_json(answer: Answer) -> str:
    """A recording's answer as one line of JSON."""
    return json.dumps(asdict(answer), ensure_ascii=False, allow_nan=False)


def as_limits_json(found: dict) -> str:
    """The limits as one line of JSON."""
    return json.dumps(found, ensure_ascii=False, allow_nan=False)


def calibration_table(about: dict) -> str:
    """Cllr before (scores taken for natural log ratios) and after, in all and by condition."""
    width = max(len(printed(row["condition"])) for row in about["conditions"])
    lines = [f"{'condition':<{width}}  {'utts':>6}  {'known':>6}  {'Cllr before':>11}  {'after':>7}"]
    for row in about["conditions"]:
        cells = [_cllr(row, when) for when in ("before", "after")]
        name = printed(row["condition"])
        lines.append(f"{name:<{width}}  {row['utterances']:>6,}  {row['known']:>6,}  {cells[0]:>11}  {cells[1]:>7}")
    note = "after: every system calibrated by the others; *: no enrolled system there, half of Cllr without targets"
    return "\n".join([*lines, note])


def _cllr(row: dict, when: str) -> str:
    """Cllr of a condition; where it has no target, its non-target half, marked."""
    if row[when] is not None:
        return f"{row[when]:.3f}"
    half = row[f"{when}_nontarget"]
    return "–" if half is None else f"{half / 2:.3f}*"


COLUMNS = ("path", "seconds", "verdict", "rank", "system", "score", "log10_lr", "low", "high", "posterior")


def as_csv(answers: Iterator[Answer]) -> Iterator[str]:
    """CSV text: a heading, then a row for each system ranked; one with its reason for a file that was not read."""
    yield _row([*COLUMNS, "remarks", "reason"])
    for answer in answers:
        notes = ["; ".join(answer.remarks), answer.reason]
        if not answer.candidates:
            yield _row([answer.path, f"{answer.seconds:.3f}", answer.verdict, *[""] * 7, *notes])
        for rank, c in enumerate(answer.candidates, 1):
            numbers = [c.score, c.log10_lr, c.low, c.high, c.posterior]
            cells = ["" if number is None else f"{number:.6g}" for number in numbers]
            yield _row([answer.path, f"{answer.seconds:.3f}", answer.verdict, rank, c.system, *cells, *notes])


def _row(cells: list) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().rstrip("\n")
