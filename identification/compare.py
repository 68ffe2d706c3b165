"""Two recordings: of one system, or of two?"""

from identification.bank import Bank
from identification.recordings import Recording
from identification.verbal import Scale
from scoring.backends import mapped, score_rows


def compare(bank: Bank, first: Recording, second: Recording) -> dict:
    """Plain data: `score`, and with a calibration `log10_lr` with `low` and `high`; `remarks` on either recording."""
    points = [mapped(bank.backend, recording.embedding[None]) for recording in (first, second)]
    score = float(score_rows(bank.backend, *points)[0])
    found = {
        "first": first.path,
        "second": second.path,
        "score": score,
        "remarks": [f"{r.path}: {remark}" for r in (first, second) for remark in r.remarks],
    }
    if bank.calibration is None:
        return found | {"log10_lr": None, "low": None, "high": None}
    ratios = bank.calibration.compare
    low, high = ratios.interval(score)
    return found | {"log10_lr": float(ratios.log10(score)), "low": float(low), "high": float(high)}


def comparison_text(found: dict, scale: Scale) -> str:
    """The same for people."""
    lines = [f"{found['first']} and {found['second']}: score {found['score']:+.3f}"]
    if found["log10_lr"] is not None:
        sentence = scale.sentence(found["log10_lr"], "the same system", "two systems")
        lines.append(f"  {sentence} [{found['low']:+.2f}, {found['high']:+.2f}]")
    return "\n".join([*lines, *(f"  note: {remark}" for remark in found["remarks"])])
