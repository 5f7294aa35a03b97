"""What the error of a delivery means, and what to do about it: sentences for ops.

The errors are those of `scp.dimse.sender` and `scp.delivery`; what is not known here is returned as
it stands, for a strange error is better than a wrong remedy.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Parties:
    """Who speaks with whom: the destination's name in config.toml, and our AE title."""

    destination: str
    our_ae_title: str


_STATUS = re.compile(r"C-STORE answered 0x(?P<status>[0-9A-F]{4}) \([^)]*\)(: (?P<said>.*))?", re.S)
# (first, last, sentence): PS3.4 Table B.2-1, PS3.7 Annex C
_STATUSES = (
    (0xA700, 0xA7FF, "{name} is out of resources: its disk or its database is full. Ask its"
     " administrator to make room; then send again."),
    (0xA900, 0xA9FF, "{name} says that the object does not match its SOP class: its rules for this"
     " kind of object are stricter than ours. Show its administrator `hilum conformance`."),
    (0xC000, 0xCFFF, "{name} cannot understand the object; its own log says what it misses. Or"
     " switch this kind of object off under [results]."),
    (0xB000, 0xBFFF, "{name} kept the object, but changed or dropped parts of it. A warning is not"
     " counted as delivered: look in its log."),
    (0x0122, 0x0122, "{name} does not support this kind of object (SOP class): have it accept it,"
     " or switch the kind off under [results]."),
    (0x0124, 0x0124, "{name} does not allow {us} to store: ask its administrator to allow it."),
    (0x0111, 0x0111, "{name} has another object under the same UID: its administrator must see"
     " which of the two is right."),
    (0x0110, 0x0110, "{name} failed on its side (processing failure): its log says why."),
    (0x0105, 0x0121, "{name} finds an attribute, a value or a UID in the object that it does not"
     " allow; its log says which."),
    (0x0123, 0x0213, "{name} did not take the request as DICOM has it; its log says why."),
    (0xFE00, 0xFE00, "{name} broke the transfer off by itself; its log says why."),
)  # fmt: skip
# what the text says, as a pattern, and the sentence
_SAID = (
    (r"(?P<ae>.+) at (?P<host>.+):(?P<port>\d+) does not answer",
     "{name} does not answer on {host}:{port}: is it running, does it listen there, and does a"
     " firewall let us through?"),
    (r"(?P<host>.+) cannot be looked up: .*",
     "The host name {host} of {name} is not known to the name server: see host under"
     " [[destinations]], and the DNS."),
    (r"(?P<ae>.+) at .+ rejected the association: Calling AE title not recognised",
     "{name} does not know us: ask its administrator to enter the AE title {us} with this"
     " machine's address."),
    (r"(?P<ae>.+) at .+ rejected the association: Called AE title not recognised",
     "{name} does not know the AE title {ae}, by which we call it: enter its right one as ae_title"
     " under [[destinations]]."),
    (r".+ rejected the association: (Temporary congestion|Local limit exceeded)",
     "{name} has too many connections just now; nothing to do unless it lasts."),
    (r".+ rejected the association: (?P<why>.*)",
     "{name} refuses the connection ({why}): ask its administrator whether the AE title {us} and"
     " this machine's address are entered."),
    (r".+ accepts none of (?P<kinds>.*)",
     "{name} accepts none of these kinds of objects: {kinds}. Have it accept them, or switch the"
     " kinds off under [results]; `hilum check` names the keys."),
    (r"the destination accepts no (?P<kinds>.*) as (?P<syntax>.*)",
     "{name} accepts no {kinds} (as {syntax}). Have it accept them, or switch the kind off under"
     " [results]; `hilum check` names the key."),
    (r"the association broke off",
     "{name} broke the connection off in the middle: did it restart, or does a firewall cut long"
     " connections? Its log says more."),
    (r"no answer to C-STORE",
     "{name} took the connection and then did not answer in time: it is overloaded or hangs. If"
     " it is only slow, raise timeout_s under [[destinations]]."),
    (r"the destination is no longer configured",
     "{name} is not in config.toml any more: name it under [[destinations]] again and restart, or"
     " discard what waits for it."),
    (r"the (result|file) cannot be read: .*|the result is no DICOM file any more: .*",
     "Our own file cannot be read, nothing is wrong with {name}: see that the disk of data_dir is"
     " mounted and whole, or restore the file from a backup."),
)  # fmt: skip


def remedy(error: str, parties: Parties) -> str:
    """Return what an error means and what to do; "" without an error."""
    names = {"name": parties.destination, "us": parties.our_ae_title}
    if match := _STATUS.fullmatch(error):
        return _of_status(int(match["status"], 16), match["said"] or "", names) or error
    for pattern, sentence in _SAID:
        if match := re.fullmatch(pattern, error, re.S):
            return sentence.format_map({**match.groupdict(), **names})
    return error


def _of_status(status: int, said: str, names: dict[str, str]) -> str:
    for first, last, sentence in _STATUSES:
        if first <= status <= last:
            own_words = f" It says: {said}" if said else ""
            return f"{sentence.format_map(names)} (0x{status:04X}){own_words}"
    return ""


# why priors were not fetched, by `scp.index.fetches.Outcome`
FETCHES = {
    "unreachable": "The PACS could not be reached for earlier films: is it running? See host, port"
    " and firewall under [priors].",
    "rejected": "The PACS refused our question for earlier films: it does not know our AE title, or"
    " [priors] ae_title is not its own.",
    "not_offered": "The PACS does not offer the service that earlier films are fetched by: try the"
    " other [priors] retrieve, or its configuration.",
    "query_failed": "The PACS did not answer which earlier films it has: see its log.",
    "incomplete": "Not all earlier films came from the PACS: hilum's log says of each why.",
    "too_late": "Earlier films did not come in time: raise [priors] timeout_s, or lower at_most.",
    "no_patient_key": "Earlier films were not asked for: the film's Patient ID has a wild card or"
    " several values.",
    "broken": "Asking for earlier films broke: a fault of hilum's, its log has the traceback.",
}
