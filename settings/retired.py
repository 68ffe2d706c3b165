"""Options that there were, and where each went: old commands get a hint, old runs still load and resume."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Retired:
    """`default`: what it was unless set. `now`: what to do instead. `learning`: it changed what is learned."""

    default: object
    now: str
    learning: bool = False


SCORE = "moved to score.py, which scores what --save_embeddings writes"
CACHE = "moved to the cache: build it with dataprep.py cache --{}, and name it with --cache"

RETIRED = {
    "score_norm": Retired("none", SCORE),
    "cohort": Retired("", SCORE),
    "cohort_top": Retired(300, SCORE),
    "scores_out": Retired("", SCORE),
    "dcf_c_miss": Retired(1.0, SCORE),
    "dcf_c_fa": Retired(1.0, SCORE),
    "dedup": Retired(False, SCORE),
    "trial_list": Retired("", "a list of trials, lines of 'label path path', is a --test_list of --eval now"),
    "nClasses": Retired(0, "the systems of the train list are counted: leave it out"),
    "lowpass": Retired(0.0, CACHE.format("lowpass"), learning=True),
    "trim_silence": Retired(False, CACHE.format("trim_silence"), learning=True),
    "loudness_norm": Retired(False, CACHE.format("loudness_norm"), learning=True),
    "crop_cycle": Retired(0, "an option of --model Wav2Vec2AASIST now", learning=True),
}


def says_nothing(name: str, value: object) -> bool:
    """Whether a value is that of a retired option and what it would have been anyway."""
    default = RETIRED[name].default if name in RETIRED else None
    return name in RETIRED and isinstance(value, bool) == isinstance(default, bool) and value == default
