"""Words that were mistyped.

References
----------
Damerau, A technique for computer detection and correction of spelling errors, CACM 7 (1964).
"""


def is_slip(word: str, written: str) -> bool:
    """Whether a word has one letter more, less or another, or two that changed places."""
    if abs(len(word) - len(written)) > 1:
        return False
    at = next(
        (at for at, pair in enumerate(zip(word, written, strict=False)) if len({*pair}) > 1), -1
    )
    if at < 0:
        return True
    swapped = word[:at] + word[at : at + 2][::-1] + word[at + 2 :]
    rests = (word[at + 1 :], written[at:]), (word[at:], written[at + 1 :])
    return (
        swapped == written or word[at + 1 :] == written[at + 1 :] or any(a == b for a, b in rests)
    )
