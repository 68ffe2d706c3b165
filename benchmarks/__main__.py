"""Everything that is measured on one machine without data of its own, in turn. Run: python -m benchmarks"""

import runpy
import sys

PARTS = ("training", "embedding", "scoring", "growth")


def main() -> None:
    for part in PARTS:
        print(f"\n{part}\n{'-' * len(part)}", flush=True)
        sys.argv = [part]  # each at its own defaults; run alone it takes options
        runpy.run_module(f"benchmarks.{part}", run_name="__main__")


if __name__ == "__main__":
    main()
