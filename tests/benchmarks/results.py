"""Time and size of all result objects of one film, on one core, beside their limits.

Run from the repository root: python -m tests.benchmarks.results
"""

import argparse
import datetime as dt
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from films import chest, make_film_ds
from invented import comparison, everything_positive, prediction

from inference.drawing.outlines import outlines
from inference.findings import Prediction
from inference.image.acquisition import acquisition_time
from inference.image.film import read_film
from scp.config.results import ResultSettings
from scp.results.answer import Answer
from scp.results.captures import comparison_capture, finding_captures, summary_capture
from scp.results.identity import Product
from scp.results.objects import make_objects, to_bytes
from scp.results.presentation import presentation_state
from scp.results.report import report
from scp.results.segmentation import label_map, segmentation

LIMIT_MS, LIMIT_MB = 400, 12  # for 2500 x 2048


def core_ms(work: Callable[[], Any], repeats: int) -> float:
    """Processor time of this thread in ms, best of some: other load does not count."""
    best = float("inf")
    for _ in range(repeats):
        start = time.thread_time()
        work()
        best = min(best, time.thread_time() - start)
    return 1e3 * best


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2500)
    parser.add_argument("--columns", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=7)
    chosen = parser.parse_args(arguments)
    pixels = chest(chosen.rows, chosen.columns)
    source = make_film_ds(pixels)
    prior = make_film_ds(pixels, study_date="20230102")
    film = read_film(source)
    kept = True
    for name, found in (("2 positive", prediction()), ("14 positive", everything_positive())):

        def one(found: Prediction = found) -> Answer:
            return Answer(
                source,
                replace(film),  # nothing of an earlier answer is at hand
                found,
                outlines(found, film.pixels.shape),
                ("The film is an AP film.",),
                dt.datetime(2024, 1, 2, 11, 0, tzinfo=dt.UTC),
                Product("0.1.0", "benchmark"),
                prior_source=prior,
                comparison=comparison(rows=320, columns=262),
                acquired=acquisition_time(source, dt.UTC),
                prior_acquired=acquisition_time(prior, dt.UTC),
            )

        title = f"{name}, {chosen.rows} x {chosen.columns}, with a prior"
        kept &= measure(title, one, ResultSettings(), chosen.repeats)
    return 0 if kept else 1


def measure(
    title: str, answer: Callable[[], Answer], settings: ResultSettings, repeats: int
) -> bool:
    """Print what each step takes, and whether all that is made by default keeps the limits."""
    one = answer()
    made = make_objects(one, settings)
    stages = {
        "outlines": lambda: outlines(one.prediction, one.film.pixels.shape),
        "summary capture": lambda: summary_capture(one, settings),
        "finding captures": lambda: finding_captures(one, settings),
        "comparison capture": lambda: comparison_capture(one, settings),
        "report": lambda: report(one, settings),
        "presentation state": lambda: presentation_state(one, settings),
        "encoding": lambda: [to_bytes(o.ds) for o in made],
        "(segmentation)": lambda: segmentation(one, settings),
        "(label map)": lambda: label_map(one, settings),
    }
    total = core_ms(lambda: [to_bytes(o.ds) for o in make_objects(answer(), settings)], repeats)
    megabytes = sum(len(to_bytes(o.ds)) for o in made) / 1e6
    print(title)
    for stage, work in stages.items():
        ms = core_ms(work, repeats)
        print(f"  {stage:20s} {ms:7.1f} ms  {100 * ms / total:5.1f} %")
    print(f"  {'all':20s} {total:7.1f} ms  (limit {LIMIT_MS} ms)   () is off by default")
    print(f"  {'size':20s} {megabytes:7.2f} MB  (limit {LIMIT_MB} MB)")
    return total <= LIMIT_MS and megabytes <= LIMIT_MB


if __name__ == "__main__":
    sys.exit(main())
