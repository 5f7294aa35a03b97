"""What is said of all 14 findings, in codes and in words: the container Qualitative Evaluations.

References
----------
PS3.16 TID 1500 rows 12 to 14.
"""

from collections.abc import Iterator

from highdicom import sr
from highdicom.sr import RelationshipTypeValues as Relation

from inference.comparison import FindingChange
from inference.findings import FINDINGS, WITHHELD
from inference.panels import percent
from scp.results.answer import Answer, NotAnalysed
from scp.results.captures import study_day
from scp.results.codes import (
    ABSENT,
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
    """Say the label, the outcome, each finding, each change, what limits them, and who speaks."""
    items = sr.ContentSequence()
    items.append(text(COMMENT, label))
    found = bool(answer.prediction.positive.any())
    items.append(coded(SUMMARY, WITH_FINDINGS if found else WITHOUT_FINDINGS))
    items.extend(_presence(answer))
    items.extend(_said_in_words(answer))
    items.extend(_said_of_the_prior(answer))
    items.extend(text(COMMENT, note) for note in answer.notes)
    items.extend(algorithm_items(answer))
    return container(QUALITATIVE_EVALUATIONS, items)


def not_analysed_evaluations(statement: NotAnalysed, label: str) -> sr.ContainerContentItem:
    """Say that nothing was looked for, and why; each finding is undetermined, none is absent."""
    items = sr.ContentSequence()
    items.append(text(COMMENT, label))
    items.append(coded(SUMMARY, NOT_DONE))
    items.append(text(COMMENT, f"NOT ANALYSED: {statement.detail}"))
    items.append(text(COMMENT, "Nothing is said of this film. It was not found to be normal."))
    items.extend(coded(code_of(finding.code), UNDETERMINED) for finding in FINDINGS)
    return container(QUALITATIVE_EVALUATIONS, items)


def _presence(answer: Answer) -> Iterator[sr.CodeContentItem]:
    for i, finding in enumerate(FINDINGS):
        item = coded(code_of(finding.code), PRESENT if answer.prediction.positive[i] else ABSENT)
        change = answer.change(i)
        if change is not None:
            said = sr.CodeContentItem(DIFFERENCE, CHANGES[change.change], Relation.HAS_PROPERTIES)
            item.ContentSequence = sr.ContentSequence([said])
        yield item


def _said_in_words(answer: Answer) -> Iterator[sr.TextContentItem]:
    prediction = answer.prediction
    for i, finding in enumerate(FINDINGS):
        state = PRESENT if prediction.positive[i] else ABSENT
        withheld = f"; {WITHHELD}" if prediction.withheld[i] else ""
        yield text(
            FINDING,
            f"{finding.name}: {percent(prediction.probabilities[i])} ({state.meaning}; "
            f"threshold {percent(prediction.thresholds[i])}{withheld})",
        )


def _said_of_the_prior(answer: Answer) -> Iterator[sr.TextContentItem]:
    comparison = answer.comparison
    if comparison is None or answer.prior is None:
        return
    day = study_day(answer.prior)
    prior = f"the prior film of {day.isoformat()}" if day else "the prior film (date not stated)"
    if not comparison.comparable:
        yield text(COMMENT, f"Not comparable with {prior}: {comparison.reason}")
        return
    yield text(
        COMMENT,
        f"Compared with {prior}: correlation {comparison.quality:.2f}, "
        f"structural similarity {comparison.ssim:.2f} after alignment",
    )
    if comparison.reason:
        yield text(COMMENT, comparison.limited)
    for finding, change in zip(FINDINGS, comparison.changes, strict=True):
        yield text(
            DIFFERENCE,
            f"{finding.name}: {change.change} "
            f"({percent(change.prior)} -> {percent(change.current)}){_confidence(change)}",
        )


def _confidence(change: FindingChange) -> str:
    if change.confidence is None or not change.called:
        return ""
    return f"; {100 * change.confidence:.0f} of 100 film pairs without change differ less"
