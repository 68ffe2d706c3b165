"""Two recordings: of one system, or of two?"""

from identification.bank import Bank
from identification.recordings import Recording
from identification.verbal import Scale
from scoring.backends import mapped, score_rows


def compare(bank: Bank, first: Recording, second: Recording) -> dict:
    """Plain data: `score`, `remarks` on the recordings, and with a calibration `log10_lr`, `low`, `high`, `cllr`."""
    points = [mapped(bank.backend, recording.embedding[None]) for recording in (first, second)]
    score = float(score_rows(bank.backend, *points)[0])
    found = {
        "first": first.path,
        "second": second.path,
        "score": score,
        "remarks": [f"{r.path}: {remark}" for r in (first, second) for remark in r.remarks],
    }
    if bank.calibration is None:
        return found | {"log10_lr": None, "low": None, "high": None, "cllr": None}
    ratios = bank.calibration.compare
    low, high = ratios.interval(score)
    found |= {"log10_lr": float(ratios.log10(score)), "low": float(low), "high": float(high)}
    return found | {"cllr": bank.calibration.about["compare_cllr"]}


def comparison_text(found: dict, scale: Scale) -> str:
    """The same for people."""
    lines = [f"{found['first']} and {found['second']}: score {found['score']:+.3f}"]
    if found["log10_lr"] is not None:
        sentence = scale.sentence(found["log10_lr"], "the same system", "two systems")
        lines.append(f"  {sentence} [{found['low']:+.2f}, {found['high']:+.2f}]")
        lines.append(f"  of pairs of recordings the calibration has Cllr {found['cllr']:.3f}")
    return "\n".join([*lines, *(f"  note: {remark}" for remark in found["remarks"])])
