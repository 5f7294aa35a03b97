"""How exact the cardiothoracic ratio is on films that never taught, beside ways without a heart."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from inference.model.cardiothoracic import between_lungs, implausible, measure
from inference.model.heart import HeartFinder, Silhouettes, measured_on, without_specks
from inference.model.lung_fields import two_parts
from inference.model.metadata import RatioError
from training.data.opacities import Greys, Mask
from training.evaluation.text_table import TextTable
from training.heart.examples import read_heart
from training.lungs.evaluate import CHANGES, boundary_distance, dark_parts, mean_mask
from training.lungs.examples import Masked
from training.lungs.masks import MaskedFile, small_films
from training.lungs.train import dice_of

Finder = Callable[[Greys], Silhouettes]
Floats = npt.NDArray[np.float64]

AS_IT_IS = "as it is"
WITHIN = (0.02, 0.05)
_CLASSIC_PX = 128
_DRAWS = 2000


@dataclass(frozen=True)
class HeartScore:
    """One way of finding lungs and heart on one kind of film.

    Attributes
    ----------
    lungs, heart
        Mean Dice over the films.
    lungs_off, heart_off
        Mean distance between the outlines found and true, in % of the film's long edge.
    withheld
        Films on which no ratio would be stated though their own masks allow one; what is below is
        of the others.
    error
        Of the ratio; None where it was withheld on every film.
    interval
        Of its mean absolute error, 95 %, from bootstraps of films.
    within
        The shares of films whose ratio is off by at most 0.02, and by at most 0.05.
    """

    method: str
    kind: str
    films: int
    lungs: float
    heart: float
    lungs_off: float
    heart_off: float
    withheld: int
    error: RatioError | None
    interval: tuple[float, float]
    within: tuple[float, ...]


def measure_heart(
    finder: HeartFinder, files: Sequence[MaskedFile], seed: int = 0
) -> list[HeartScore]:
    """Find lungs and heart on the test films, as they are and changed; beside other ways."""
    teachers = small_films(files, "train", _CLASSIC_PX, read_heart)
    finders: dict[str, Finder] = {
        "network": finder.find,
        "mean masks": mean_masks(teachers),
        "Otsu, mean heart": with_dark_lungs(teachers),
    }

    def ratio(name: str, film: Masked, found: Silhouettes) -> float:
        return network_ratio(finder, film) if name == "network" else stated_ratio(found)

    films = [read_heart(one) for one in files if one.split == "test"]
    usual = mean_ratio([read_heart(one) for one in files if one.split == "train"])
    found: list[HeartScore] = []
    for number, (kind, change) in enumerate(CHANGES.items()):
        rngs = [np.random.default_rng((seed, number, k)) for k in range(len(films))]
        changed = [change(film, rng) for film, rng in zip(films, rngs, strict=True)]
        found += [
            _score(name, kind, changed, [find(one.greys) for one in changed], ratio)
            for name, find in finders.items()
        ]
        if kind == AS_IT_IS:
            found.append(_guess(kind, usual, changed))
    return found


# ways without a network


def mean_masks(films: Sequence[Masked]) -> Finder:
    """Return a finder that says the same of every film: where most of ``films`` have each."""
    lungs, heart = mean_mask(films), mean_mask(_hearts(films))
    return lambda pixels: Silhouettes(lungs(pixels), heart(pixels))


def with_dark_lungs(films: Sequence[Masked]) -> Finder:
    """Return a finder of Otsu's dark lungs, with the mean heart of ``films`` between them."""
    lungs, heart = dark_parts(films), mean_mask(_hearts(films))
    return lambda pixels: Silhouettes(lungs(pixels), heart(pixels))


def _hearts(films: Sequence[Masked]) -> list[Masked]:
    return [replace(film, mask=film.heart) for film in films if film.heart is not None]


def mean_ratio(films: Sequence[Masked]) -> float:
    """Return the mean ratio of the masks that were drawn: what a guess would say."""
    return float(np.nanmean([true_ratio(film) for film in films]))


# the ratio


def drawn(film: Masked) -> Silhouettes:
    """Return the masks that were drawn; no heart where none was."""
    heart = film.heart if film.heart is not None else np.zeros(film.mask.shape, np.bool_)
    return Silhouettes(film.mask, heart)


def true_ratio(film: Masked) -> float:
    """Return the ratio of the drawn masks without their specks; nan where they have none.

    A mask whose heart lies beside the lungs names the wrong organ and judges nothing. A heart that
    reaches beyond the lungs is a large heart, and judges.
    """
    true = drawn(film)
    lungs, heart = two_parts(true.lungs), without_specks(true.heart)
    ratio = measure(lungs, heart) if between_lungs(lungs, heart) else None
    return np.nan if ratio is None else ratio.value


def stated_ratio(found: Silhouettes) -> float:
    """Return the ratio that would be stated of a film; nan where it would be withheld."""
    if implausible(found.lungs, found.heart):
        return np.nan
    ratio = measure(found.lungs, found.heart)
    return np.nan if ratio is None else ratio.value


def network_ratio(finder: HeartFinder, film: Masked) -> float:
    """Return the ratio that the service would state by the pixels; nan where it withholds it."""
    ratio, _ = measured_on(finder, film.greys)
    return np.nan if ratio is None else ratio.value


def ratios_of(finder: HeartFinder, films: Sequence[Masked]) -> Floats:
    """Return the ratio stated and the true one of each film: (films, 2), nan where withheld."""
    return np.array([(network_ratio(finder, one), true_ratio(one)) for one in films])


def ratio_error(ratios: Floats) -> RatioError | None:
    """Return how far ratios, (films, 2) stated and true, are apart; None where none was stated.

    Films whose own masks allow none do not judge.
    """
    judging = ratios[~np.isnan(ratios[:, 1])]
    off = (judging[:, 0] - judging[:, 1])[~np.isnan(judging[:, 0])]
    if not off.size:
        return None
    bias, spread = float(off.mean()), float(off.std(ddof=1)) if off.size > 1 else 0.0
    return RatioError(
        films=len(off),
        withheld=len(judging) - len(off),
        mean_absolute=float(np.abs(off).mean()),
        bias=bias,
        limits=(bias - 1.96 * spread, bias + 1.96 * spread),
    )


def _score(
    method: str,
    kind: str,
    films: Sequence[Masked],
    found: Sequence[Silhouettes],
    ratio: Callable[[str, Masked, Silhouettes], float],
) -> HeartScore:
    true = [drawn(film) for film in films]
    lungs = [(one.lungs, film.lungs) for one, film in zip(found, true, strict=True)]
    hearts = [(one.heart, film.heart) for one, film in zip(found, true, strict=True)]
    pairs = zip(films, found, strict=True)
    ratios = [(ratio(method, film, one), true_ratio(film)) for film, one in pairs]
    return HeartScore(
        method,
        kind,
        len(films),
        lungs=_dice(lungs),
        heart=_dice(hearts),
        lungs_off=_off(lungs),
        heart_off=_off(hearts),
        **_of_ratios(np.array(ratios)),
    )


def _guess(kind: str, ratio: float, films: Sequence[Masked]) -> HeartScore:
    """Score the guess that states one ratio of every film, and finds nothing."""
    ratios = np.array([(ratio, true_ratio(film)) for film in films])
    name = f"always {ratio:.3f}"
    return HeartScore(name, kind, len(films), 0, 0, 100, 100, **_of_ratios(ratios))


def _of_ratios(ratios: Floats) -> dict[str, Any]:
    """Return what a `HeartScore` says of ratios, (films, 2) stated and true."""
    judging = ratios[~np.isnan(ratios[:, 1])]
    off = np.abs(judging[:, 0] - judging[:, 1])
    off = off[~np.isnan(off)]
    made = {"withheld": len(judging) - len(off), "error": ratio_error(ratios)}
    if not off.size:
        return made | {"interval": (1.0, 1.0), "within": (0.0,) * len(WITHIN)}
    draws = np.random.default_rng(0).integers(len(off), size=(_DRAWS, len(off)))
    low, high = np.quantile(off[draws].mean(axis=1), (0.025, 0.975))
    within = tuple(float((off <= limit).mean()) for limit in WITHIN)
    return made | {"interval": (float(low), float(high)), "within": within}


def _dice(pairs: Sequence[tuple[Mask, Mask]]) -> float:
    """Mean over pairs of masks (h, w)."""
    dices = [dice_of(*(torch.from_numpy(one)[None] for one in pair)) for pair in pairs]
    return float(torch.cat(dices).mean())


def _off(pairs: Sequence[tuple[Mask, Mask]]) -> float:
    return 100 * float(np.mean([boundary_distance(*pair) for pair in pairs]))


def as_json(found: Sequence[HeartScore]) -> list[dict[str, Any]]:
    """Return plain values."""
    return [
        asdict(one) | {"error": one.error.model_dump(mode="json") if one.error else None}
        for one in found
    ]


def text_table(found: Sequence[HeartScore]) -> TextTable:
    """Return a table: a row a kind of film and way."""
    heads = ("lungs: Dice", "off", "heart: Dice", "off", "ratio: mean error", "95 %")
    more = ("bias", "limits of agreement", "within 0.02", "within 0.05", "withheld")
    films = found[0].films if found else 0
    title = f"{films} films that neither taught nor chose the epoch; off: % of the long edge"
    return TextTable(title, ("film", "way", *heads, *more), tuple(map(_row, found)))


def _row(one: HeartScore) -> tuple[str, ...]:
    organs = (
        f"{one.lungs:.3f}",
        f"{one.lungs_off:.1f}",
        f"{one.heart:.3f}",
        f"{one.heart_off:.1f}",
    )
    if one.error is None:
        return (one.kind, one.method, *organs, *["-"] * 6, str(one.withheld))
    low, high = one.error.limits
    return (
        one.kind,
        one.method,
        *organs,
        f"{one.error.mean_absolute:.4f}",
        "{:.4f} to {:.4f}".format(*one.interval),
        f"{one.error.bias:+.4f}",
        f"{low:+.3f} to {high:+.3f}",
        *(f"{share:.0%}" for share in one.within),
        str(one.withheld),
    )
