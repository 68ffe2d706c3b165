"""How a sweep stands, while it runs: done, running, failed, the best so far, the time left."""

from collections import Counter

from tqdm import tqdm

from sweeping.grid import Run
from sweeping.run_status import State, state


class ProgressBar:
    """A progress bar over the epochs of all runs, in words; nothing where nobody watches (no terminal)."""

    def __init__(self, runs: list[Run]):
        self.runs = runs
        self.states: dict[Run, State] = {}
        self.look()
        self.bar = tqdm(
            total=sum(run.config.max_epoch for run in runs),
            initial=self.epochs(),
            bar_format="{percentage:3.0f}%|{bar:20}| {desc}",
            disable=None,
            leave=False,
        )

    def look(self) -> None:
        """Read the folders of all runs that are not known to be done."""
        for run in self.runs:
            if run not in self.states or self.states[run].kind != "done":
                self.states[run] = state(run)

    def epochs(self) -> int:
        return sum(found.epochs for found in self.states.values())

    def show(self) -> None:
        """Look again and redraw."""
        self.look()
        self.bar.n = self.epochs()
        self.bar.set_description_str(self.line())

    def close(self) -> None:
        self.bar.close()

    def line(self) -> str:
        """How the sweep stands, in one line."""
        kinds = Counter(found.kind for found in self.states.values())
        parts = [f"{kinds['done']} of {len(self.runs)} done"]
        parts += [f"{kinds[kind]} {kind}" for kind in ("running", "interrupted", "failed") if kinds[kind]]
        best = self.best()
        if best:
            parts.append(f"best dev EER {best[0]:.2%} ({best[1]})")
        left = self.seconds_left(kinds["running"])
        if left is not None:
            parts.append(f"{duration(left)} left")
        return ", ".join(parts)

    def best(self) -> tuple[float, str] | None:
        """The least dev EER so far, and whose it is."""
        known = [(found.dev["eer"], run.name) for run, found in self.states.items() if found.dev]
        return min(known, default=None)

    def seconds_left(self, at_once: int) -> float | None:
        """Missing epochs × what one of the same model has taken (of any, where none has), ÷ runs at once."""
        times: dict[str, list[float]] = {}
        for run, found in self.states.items():
            if found.seconds_per_epoch:
                times.setdefault(run.config.model, []).append(found.seconds_per_epoch)
        if not times or not at_once:
            return None
        means = {model: sum(of) / len(of) for model, of in times.items()}
        usual = sum(means.values()) / len(means)
        missing = [
            (run.config.model, run.config.max_epoch - found.epochs)
            for run, found in self.states.items()
            if found.kind != "done"
        ]
        return sum(epochs * means.get(model, usual) for model, epochs in missing) / at_once


def duration(seconds: float) -> str:
    """A time for people: 45 s, 12 min, 3 h 20 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
