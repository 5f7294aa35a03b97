"""The sentences on findings: one function for each, used everywhere.

A reader acts on these words, so three rules hold in pictures, reports, pages and JSON alike. No
word says that a finding is there or absent: a finding is above or below the site's threshold (the
report's code for above is "Present": docs/results.md). A film without findings is never called
normal. A number always says what it counts.
"""

from collections.abc import Sequence

from inference.findings import FINDINGS, NOT_ASSESSED, reaches
from inference.findings import NOT_VERIFIED as NOT_VERIFIED  # noqa: PLC0414 -- one of the words

NOT_NORMAL = "This is no statement that the film is normal."

# so many decimals at most, to tell a probability from a threshold that it nearly reaches
_MOST_DIGITS = 4


def percent(probability: float, digits: int = 1) -> str:
    """Read a probability in [0, 1] as "93.0 %"; neither a small one as 0 % nor a large as 100 %."""
    smallest = 10.0**-digits
    if 0 < 100 * probability < smallest:
        return f"< {smallest:.{digits}f} %"
    if 100 - smallest < 100 * probability < 100:
        return f"> {100 - smallest:.{digits}f} %"
    return f"{100 * probability:.{digits}f} %"


def both(probability: float, threshold: float) -> tuple[str, str]:
    """Read a probability and its threshold so that the two texts differ where the numbers do."""
    digits = 1
    while (
        probability != threshold
        and digits < _MOST_DIGITS
        and percent(probability, digits) == percent(threshold, digits)
    ):
        digits += 1
    return percent(probability, digits), percent(threshold, digits)


def side_of_threshold(probability: float, threshold: float) -> str:
    """Say on which side of the threshold a probability lies; at the threshold counts as above."""
    return "above" if reaches(probability, threshold) else "below"


def against_threshold(probability: float, threshold: float) -> str:
    """Say what a probability means: "4.9 %, above the site's threshold (4.3 %)"."""
    here, line = both(probability, threshold)
    return f"{here}, {side_of_threshold(probability, threshold)} the site's threshold ({line})"


def beside_outline(name: str, probability: float, threshold: float) -> str:
    """Say on the film what an outline is: "Nodule 93.0 % (AI, threshold 30.0 %)"."""
    here, line = both(probability, threshold)
    return f"{name} {here} (AI, threshold {line})"


def outcome(above: int, not_assessed: Sequence[str] = ()) -> str:
    """Say how many findings were found of how many that were looked for, and what was not.

    Parameters
    ----------
    not_assessed
        The names of the findings that are not assessed.
    """
    looked_for = len(FINDINGS) - len(not_assessed)
    found, is_ = above or "None", "are" if above > 1 else "is"
    sentence = f"{found} of the {looked_for} findings looked for {is_} above the site's threshold."
    if not not_assessed:
        return sentence
    return f"{sentence} {NOT_ASSESSED.capitalize()}: {', '.join(not_assessed)}."


def outcome_on_film(above: int, not_assessed: Sequence[str] = ()) -> str:
    """Say the outcome in the few words that fit beside a film."""
    if not above:
        looked_for = len(FINDINGS) - len(not_assessed)
        return f"None of {looked_for} above the site's threshold; not thereby normal (AI)"
    findings = "1 finding" if above == 1 else f"{above} findings"
    return f"{findings} above the site's threshold without a place: see the report (AI)"


def outcome_in_full(above: int, not_assessed: Sequence[str] = ()) -> str:
    """Say the outcome of a film; one without findings is not thereby called normal."""
    sentence = outcome(above, not_assessed)
    return sentence if above else f"{sentence} {NOT_NORMAL}"


def more_than_by_chance(confidence: float) -> str:
    """Say what the confidence of a change counts (`inference.comparison.FindingChange`)."""
    # rounded down: 99.6 of 100 is not all of them
    return f"differs more than in {int(100 * confidence)} of 100 pairs without change"
