"""One pass over all pairs of a list, on the processor or on a torch device."""

from scoring import histograms
from scoring.bins import Bins
from scoring.counts import NO_GROUPS, Counts, Groups
from scoring.embeddings import Utterances
from scoring.kernels import Wanted


def count_trials(
    listed: Utterances,
    to: Bins,
    *,
    wanted: Wanted | None = None,
    room: int = 0,
    groups: Groups = NO_GROUPS,
    threads: int | None = None,
    device: str = "cpu",
    progress: bool = False,
    title: str = "scoring",
) -> Counts:
    """Score all pairs of a list once, and count the scores.

    Parameters
    ----------
    listed : the utterances
    to : which bin a score falls into
    wanted : the bins whose scores are kept
    room : how many scores may be kept
    groups : which histograms of systems are wanted
    threads : how many threads share the work; by default one for each core this process may use
    device : "cpu", or a torch device that does the work instead
    progress : whether to show a bar on stderr where the work is long, called `title`
    """
    common = {"wanted": wanted, "room": room, "groups": groups, "progress": progress, "title": title}
    if device == "cpu":
        return histograms.count_on_cpu(listed, to, threads=threads, **common)
    from scoring.histograms_torch import count_on_device  # torch, which the processor does not need

    return count_on_device(listed, to, device=device, **common)
