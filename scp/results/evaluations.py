"""All 14 findings in codes and in words: the container Qualitative Evaluations.

References
----------
PS3.16 TID 1500 rows 12 to 14.
"""

from collections.abc import Iterator

from highdicom import sr
from highdicom.sr import RelationshipTypeValues as Relation
from pydicom.sr.coding import Code

from inference.findings import FINDINGS, NOT_ASSESSED, WITHHELD, Prediction
from inference.image.acquisition import interval
from inference.statements import NOT_VERIFIED, against_threshold, outcome_in_full, percent
from scp.results.answer import Answer, NotAnalysed
from scp.results.codes import (
    BELOW_THRESHOLD,
    CHANGES,
    COMMENT,
    DIFFERENCE,
    FINDING,
    NOT_DONE,
    PRESENT,
    QUALITATIVE_EVALUATIONS,
    SUMMARY,
    UNDETERMINED,
    WITH_FINDINGS,
    WITHOUT_FINDINGS,
    code_of,
    coded,
    container,
    text,
)
from scp.results.measurements import algorithm_items


def evaluations(answer: Answer, label: str) -> sr.ContainerContentItem:
    """Say who speaks and what limits it, then the outcome, each finding and each change.

    What limits comes first: viewers that show the beginning of a report show that.
    """
    items = sr.ContentSequence()
    above = int(answer.prediction.positive.sum())
    words = outcome_in_full(above, answer.prediction.not_assessed)
    first = (label, NOT_VERIFIED, *answer.notes, *_limits_of_comparison(answer))
    taken = f"Film taken: {answer.acquired.text_with_source if answer.acquired else 'not stated'}"
    second = (taken, answer.edition.sentence, words)
    items.extend(text(COMMENT, comment) for comment in (*first, *second) if comment)
    items.append(coded(SUMMARY, WITH_FINDINGS if above else WITHOUT_FINDINGS))
    items.extend(_presence(answer))
    items.extend(_said_in_words(answer))
    ratio = answer.prediction.ratio
    if ratio is not None and ratio.stated is not None:
        items.append(text(COMMENT, ratio.sentence))
    items.extend(_said_of_the_prior(answer))
    items.extend(algorithm_items(answer))
    return container(QUALITATIVE_EVALUATIONS, items)


def not_analysed_evaluations(statement: NotAnalysed, label: str) -> sr.ContainerContentItem:
    """Say that nothing was looked for, and why; each finding is undetermined, none is absent."""
    items = sr.ContentSequence()
    items.append(text(COMMENT, label))
    items.append(text(COMMENT, f"NOT ANALYSED: {statement.detail}"))
    items.append(
        text(COMMENT, "No statement is made about this film. It was not found to be normal.")
    )
    items.append(text(COMMENT, NOT_VERIFIED))
    if statement.edition.sentence:
        items.append(text(COMMENT, statement.edition.sentence))
    items.append(coded(SUMMARY, NOT_DONE))
    items.extend(coded(code_of(finding.code), UNDETERMINED) for finding in FINDINGS)
    return container(QUALITATIVE_EVALUATIONS, items)


def _presence(answer: Answer) -> Iterator[sr.CodeContentItem]:
    for i, finding in enumerate(FINDINGS):
        item = coded(code_of(finding.code), _state(answer.prediction, i))
        change = answer.change(i)
        if change is not None:
            difference = sr.CodeContentItem(
                DIFFERENCE, CHANGES[change.change], Relation.HAS_PROPERTIES
            )
            item.ContentSequence = sr.ContentSequence([difference])
        yield item


def _said_in_words(answer: Answer) -> Iterator[sr.TextContentItem]:
    prediction = answer.prediction
    for i, finding in enumerate(FINDINGS):
        if not prediction.assessed[i]:
            yield text(FINDING, f"{finding.name}: {NOT_ASSESSED}")
            continue
        against = against_threshold(prediction.probabilities[i], prediction.thresholds[i])
        withheld = f"; {WITHHELD}" if prediction.withheld[i] else ""
        place = prediction.place_of(i).replace(",", ";") if i in prediction.mapped else ""
        yield text(FINDING, f"{finding.name}: {against}{withheld}{place}")


def _limits_of_comparison(answer: Answer) -> tuple[str, ...]:
    """Return what limits or forbids the comparison with the prior film."""
    comparison = answer.comparison
    if comparison is None or not comparison.reason:
        return ()
    if comparison.comparable:
        return (comparison.limited,)
    return (f"Not comparable with {_prior_film(answer)}: {comparison.reason}",)


def _prior_film(answer: Answer) -> str:
    if answer.prior_acquired is None:
        return "the prior film (date not stated)"
    apart = interval(answer.acquired, answer.prior_acquired)
    taken = answer.prior_acquired.text_with_source
    return f"the prior film of {taken}, {apart}" if apart else f"the prior film of {taken}"


def _state(prediction: Prediction, finding: int) -> Code:
    """Return on which side of the threshold a finding is; one not assessed is on neither."""
    if not prediction.assessed[finding]:
        return UNDETERMINED
    return PRESENT if prediction.positive[finding] else BELOW_THRESHOLD


def _said_of_the_prior(answer: Answer) -> Iterator[sr.TextContentItem]:
    comparison = answer.comparison
    if comparison is None or not comparison.comparable:
        return
    yield text(
        COMMENT,
        f"Compared with {_prior_film(answer)}: correlation {comparison.quality:.2f}, "
        f"structural similarity {comparison.ssim:.2f} after alignment",
    )
    for finding, change in zip(FINDINGS, comparison.changes, strict=True):
        if not change.assessed:
            yield text(DIFFERENCE, f"{finding.name}: {change.text}")
            continue
        yield text(
            DIFFERENCE,
            f"{finding.name} ({percent(change.prior)} -> {percent(change.current)}): {change.text}",
        )
