"""What an answer states beside its findings: what it does not say of the heart, and of a prior."""

from inference.cardiothoracic import RatioStatement
from scp.matching.prior import Choice, Code

# what is stated for a film without a prior too, as a reason for that or beside it
_TOLD_WITHOUT = (
    Code.NOT_FETCHED,
    Code.ORDER_NOT_KNOWN,
    Code.NO_DATE,
    Code.UNREADABLE,
    Code.NO_PATIENT_ID,
    Code.PLACEHOLDER,
    Code.OTHER_SEX,
    Code.OTHER_BIRTH_DATE,
    Code.OTHER_NAME,
    Code.NEARLY_SAME_ID,
    Code.WITHDRAWN,
)


def notes_beside(ratio: RatioStatement | None, choice: Choice) -> tuple[str, ...]:
    """Return why no cardiothoracic ratio is stated, and what to say of the prior, or of none."""
    unstated = (ratio.sentence,) if ratio is not None and ratio.withheld else ()
    if choice.prior is not None:
        return (*unstated, *(note.sentence for note in choice.notes))
    reasons = (choice.why, *choice.notes)
    return (*unstated, *(one.sentence for one in reasons if one.code in _TOLD_WITHOUT))
