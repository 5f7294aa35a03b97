"""Whether two films are one examination, a repeat, and the sentence for it."""

from datetime import timedelta

from inference.image.acquisition import AcquisitionTime, interval, time_between

# at most this apart, or of one study, two films are one examination: a repeat, not a follow-up
SAME_EXPOSURE = timedelta(hours=1)


def repeat_sentence(
    current: AcquisitionTime | None, prior: AcquisitionTime | None, *, same_study: bool
) -> str:
    """Say what makes two films one examination, and how far apart they were taken."""
    apart = interval(current, prior)
    if not same_study:
        return f"the prior was taken {apart}"
    return "both films are of one study" + (f", the prior {apart}" if apart else "")


def is_within_exposure(current: AcquisitionTime | None, prior: AcquisitionTime | None) -> bool:
    """Say whether two films are known to have been taken within `SAME_EXPOSURE` of each other."""
    apart = time_between(current, prior) if current and prior else None
    return apart is not None and abs(apart) <= SAME_EXPOSURE
