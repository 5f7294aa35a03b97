"""`hilum measure-null`: how far a network's words about an unchanged chest differ."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.table import Table

from inference.comparison.null import BAND, SHARES, Null, log_odds
from inference.engine import Engine
from inference.findings import FINDINGS, LABELS, Prediction
from training.data import read_picture
from training.film_pairs import FilmPair, is_large
from training.parts import NULL
from training.records import BadFilmList, Record
from training.reexposure import exposed_again
from training.statistics import Doubles

SaidOfPair = tuple[Prediction, Prediction]  # of the prior film, of the current one

EXPOSURES = 10  # of each film
FEWEST = 20  # pairs without change; with fewer their spread is not known


def measure_null(
    engine: Engine, records: Sequence[Record], pairs: Sequence[FilmPair], out: Path
) -> Null:
    """Measure the null distribution of a bundle, and write it to ``out``.

    Val films are exposed again; pairs of train and val patients whose labels are the same before
    and after are read as they are. Of both, the wider spread is taken: a change must be larger
    than what positioning makes, and than what the same patient's films differ by on another day.

    Raises
    ------
    BadFilmList
        No val film is large enough.
    """
    held = [record for record in records if record.split == "val" and is_large(record)]
    if not held:
        raise BadFilmList("no film of split 'val' is large enough to be exposed again")
    still = [pair for pair in pairs if pair.split != "test" and not pair.labels.any()]
    exposed = said_of_exposures(engine, held, EXPOSURES)
    spreads = [_within(exposed)]
    if len(still) >= FEWEST:
        spreads.append(_within(said_of_pairs(engine, still)))
    widest = np.maximum.reduce(spreads)  # (shares, 14)
    null = Null(
        shares=SHARES,
        differences={
            label: tuple(round(float(one), 4) for one in row)
            for label, row in zip(LABELS, widest.T, strict=True)
        },
        exposures=len(exposed),
        pairs=len(still) if len(spreads) > 1 else 0,
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / NULL.spec).write_text(json.dumps(null.model_dump(mode="json"), indent=2) + "\n")
    return null


def said_of_exposures(
    engine: Engine, records: Sequence[Record], exposures: int
) -> list[SaidOfPair]:
    """Read each film as it is, and exposed again; the original stands as the prior.

    The film's place and the number of the exposure are the seed.
    """
    said: list[SaidOfPair] = []
    with ThreadPoolExecutor(max_workers=4) as threads:
        for place, record in enumerate(records):
            film = read_picture(record.path)
            versions = [film, *(exposed_again(film, place * 1000 + k) for k in range(exposures))]
            original, *others = threads.map(engine.read, versions)
            said += [(original, other) for other in others]
    return said


def said_of_pairs(engine: Engine, pairs: Sequence[FilmPair]) -> list[SaidOfPair]:
    """Read both films of each pair, each film once; prior first."""
    paths = sorted({record.path for pair in pairs for record in (pair.prior, pair.current)})
    with ThreadPoolExecutor(max_workers=4) as threads:
        said = threads.map(lambda path: engine.read(read_picture(path)), paths)
        known = dict(zip(paths, said, strict=True))
    return [(known[pair.prior.path], known[pair.current.path]) for pair in pairs]


def differences_of(said: Sequence[SaidOfPair]) -> Doubles:
    """Return current minus prior in log odds, (pairs, 14)."""
    return np.stack(
        [log_odds(now.probabilities) - log_odds(then.probabilities) for then, now in said]
    )


def table(null: Null) -> Table:
    """Return a table for a terminal: what is needed to name a change."""
    made = Table(
        "finding",
        *(f"{share:.0%}" for share in null.shares),
        title=f"differences in log odds that such a share of films without change stay within; "
        f"{null.exposures} exposures, {null.pairs} pairs; a change is named beyond {BAND:.0%}",
    )
    for finding in FINDINGS:
        made.add_row(finding.name, *(f"{one:.2f}" for one in null.differences[finding.label]))
    return made


def _within(said: Sequence[SaidOfPair]) -> Doubles:
    """(shares, 14): the size that such a share of the differences stay within."""
    return np.asarray(np.quantile(np.abs(differences_of(said)), SHARES, axis=0))
