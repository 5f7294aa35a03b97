"""What the outcome of a delivery means, and what to do about it: sentences for ops.

The sentence is chosen by the outcome's code; what happened is the text of the outcome itself.
"""

from dataclasses import dataclass

from scp.outcomes.delivery import Cause, Outcome, status_range


@dataclass(frozen=True)
class Parties:
    """Who speaks with whom: the destination's name in config.toml, our AE title, and its own."""

    destination: str
    our_ae_title: str
    ae_title: str = "its AE title"
    address: str = "its address"


_ATTRIBUTE = (
    "{name} finds an attribute, a value or a UID in the object that it does not allow; its log says"
    " which."
)
_REQUEST = "{name} did not accept the request as valid DICOM; its log says why."
_NO_CLASS = (
    "{name} does not support this kind of object (SOP class): configure it to accept this, or"
    " remove the kind from kinds under its [[destinations]]."
)
# by the names of `scp.outcomes.delivery.STORE_STATUSES`
_OF_STATUS = {
    "Requested optional attributes not supported": "{name} has the object, without some optional"
    " attributes.",
    "Attribute list error": "{name} has the object, but ignored attributes that it does not know.",
    "Attribute value out of range": "{name} has the object, but found a value out of range.",
    "Duplicate SOP Instance": "{name} had the object already.",
    "Coercion of data elements": "{name} has the object, but changed elements of it, usually by "
    "its rules for patient or study: its log names them.",
    "Elements discarded": "{name} has the object, but dropped elements of it: check there whether"
    " it is still shown correctly.",
    "Warning": "{name} has the object, with a warning of its own: its log has the details.",
    "Processing failure": "{name} failed on its side (processing failure): its log says why.",
    "SOP Class not supported": _NO_CLASS,
    "No such SOP Class": _NO_CLASS,
    "Class-Instance conflict": _NO_CLASS,
    "Not authorized": "{name} does not allow {us} to store: ask its administrator to allow it.",
    "Duplicate invocation": _REQUEST,
    "Unrecognized operation": _REQUEST,
    "Mistyped argument": _REQUEST,
    "No such action": _REQUEST,
    "Resource limitation": "{name} is short of resources at the moment; nothing to do unless it "
    "persists.",
    "Out of resources": "{name} is out of resources: its disk or its database is full. Ask its"
    " administrator to make room; then send again.",
    "Cannot understand": "{name} cannot understand the object; its log says what it lacks. Or "
    "remove this kind of object from kinds under its [[destinations]].",
    "Cancelled": "{name} ended the transfer; its log says why.",
    "Unknown status": "{name} answered with a status that the Standard does not define: its log or"
    " its conformance statement says more.",
}
_MISMATCH = {
    "warning": "{name} has the object, but says that it does not match its SOP class: its rules for"
    " this kind of object are stricter than ours. Show its administrator `hilum conformance`.",
    "permanent": "{name} refuses the object because it does not match its SOP class: its rules for"
    " this kind of object are stricter than ours. Show its administrator `hilum conformance`.",
}
_OF_CAUSE = {
    Cause.NOT_ACCEPTED: "{name} accepts no {said}. Configure it to accept them, or remove the "
    "kind from kinds under its [[destinations]].",
    Cause.NOT_CONVERTED: "{name} accepts the object in another transfer syntax only, and hilum "
    "could not convert it ({said}): configure it to accept the object's own.",
    Cause.NO_CONNECTION: "{name} does not answer on {address}: is it running, does it listen there,"
    " and does a firewall let us through?",
    Cause.UNKNOWN_HOST: "The host name of {name} ({address}) is not known to the name server: "
    "check host under [[destinations]], and the DNS.",
    Cause.NO_ANSWER: "{name} took the connection on {address} and then did not answer: it is "
    "overloaded, hangs, or is not a DICOM server.",
    Cause.NOT_UNDERSTOOD: "{name} answered on {address} with something that hilum cannot read as"
    " DICOM: is another service on that port? Otherwise see its log, and a trace of the network.",
    Cause.CALLING_TITLE_UNKNOWN: "{name} does not know us: ask its administrator to enter the AE"
    " title {us} with this machine's address.",
    Cause.CALLED_TITLE_UNKNOWN: "{name} does not know the AE title {ae}, by which we call it: enter"
    " its right one as ae_title under [[destinations]].",
    Cause.CONGESTED: "{name} has too many connections at the moment; nothing to do unless it "
    "persists.",
    Cause.REJECTED: "{name} refuses the connection: ask its administrator whether the AE title {us}"
    " and this machine's address are entered.",
    Cause.ABORTED: "{name} aborted the connection: its log says why.",
    Cause.BROKEN: "{name} broke the connection during the transfer: did it restart, or does a"
    " firewall cut long connections? Its log says more. If it closes at once, does it speak TLS"
    " alone?",
    Cause.NOT_REACHED: "{name} ended the associations at other objects of this film; this one is"
    " sent first the next time.",
    Cause.TIMED_OUT: "{name} took the connection and then did not answer in time: it is overloaded"
    " or hangs. If it is only slow, raise timeout_s under [[destinations]].",
    Cause.TLS_NOT_SPOKEN: "{name} does not speak TLS on {address} ({said}), and hilum sends it"
    " nothing without: is that the port of its TLS? Otherwise switch TLS on there.",
    Cause.TLS_WANTED: "{name} speaks TLS on {address}: set enabled = true and ca under its "
    "[destinations.tls], or call its port without TLS.",
    Cause.TLS_VERSION: "{name} and hilum have no version of TLS or cipher suite in common"
    " ({said}): bring it up to date, or lower minimum_version under its [destinations.tls], if that"
    " is 1.3.",
    Cause.TLS_CERTIFICATE: "hilum does not accept the certificate of {name} ({said}), and sends it "
    "nothing. Have it renewed there; or correct ca or name under its [destinations.tls].",
    Cause.TLS_OWN_CERTIFICATE: "{name} does not accept us ({said}): have our CA entered there, or"
    " give it a good certificate and key under its [destinations.tls].",
    Cause.TLS_FAILED: "TLS with {name} on {address} failed ({said}): its log says more.",
    Cause.TLS_FILES: "Nothing is wrong with {name}; a file of ours is: {said}.",
    Cause.UNREADABLE: "Our own file cannot be read, nothing is wrong with {name}: check that the "
    "disk of data_dir is mounted and intact, or restore the file from a backup.",
    Cause.NO_DICOM: "Our own file is no longer a DICOM file, nothing is wrong with {name}: check "
    "that the disk of data_dir is intact, and restore the file from a backup.",
    Cause.NOT_CONFIGURED: "{name} is no longer in config.toml: add it under [[destinations]] "
    "again and restart, or discard what waits for it.",
}


def advice(outcome: Outcome | None, parties: Parties) -> str:
    """Return what an outcome means and what to do; "" without one."""
    if outcome is None:
        return ""
    fields = {
        "name": parties.destination,
        "us": parties.our_ae_title,
        "ae": parties.ae_title,
        "address": parties.address,
        "said": outcome.peer_text,
    }
    return _sentence(outcome).format_map(fields)


def _sentence(outcome: Outcome) -> str:
    if outcome.status is None:
        return _OF_CAUSE.get(outcome.cause, "{name}: {said}")
    name = status_range(outcome.status).name
    if name == "Data set does not match SOP Class":
        return _MISMATCH[outcome.kind]
    return _OF_STATUS.get(name, _ATTRIBUTE)


# why priors were not fetched, by `scp.index.prior_fetches.Outcome`
FETCHES = {
    "unreachable": "The PACS could not be reached for earlier films: is it running? Check host "
    "and port under [priors], and the firewall.",
    "not_secured": "TLS with the PACS failed, and without it hilum asks for no earlier films:"
    " hilum's log says why. Check [priors.tls], and the certificates on both sides.",
    "rejected": "The PACS refused our query for earlier films: it does not know our AE title, or"
    " [priors] ae_title is not its own.",
    "not_offered": "The PACS does not offer the service that earlier films are fetched by: try the"
    " other [priors] retrieve, or its configuration.",
    "query_failed": "The PACS did not answer which earlier films it has: see its log.",
    "incomplete": "Not all earlier films came from the PACS: hilum's log has the reason for each.",
    "too_late": "Earlier films did not arrive in time: raise [priors] timeout_s, or lower at_most.",
    "no_patient_key": "Earlier films were not asked for: the film's Patient ID has a wild card or"
    " several values.",
    "broken": "Fetching earlier films failed because of a fault in hilum: its log has the "
    "traceback.",
}
