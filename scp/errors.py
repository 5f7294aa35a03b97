"""What can go wrong, as a tree.

::

    HilumError
    ├── ConfigError            config.toml or the environment says something impossible
    ├── CertificateUnusable    a file of a certificate, key or CA cannot be used for TLS
    ├── ServiceError           a role cannot start: a port is taken, a worker's name is in use
    ├── Refused                an object is not taken in; carries the C-STORE status to answer
    │   ├── ArchiveFull        0xA700 Refused: Out of Resources
    │   ├── TooLarge           0xC001 Cannot understand: larger than any film
    │   ├── ClassMismatch      0xA900 Data Set does not match SOP Class
    │   ├── Unreadable         0xC000 Cannot understand
    │   └── Conflict           0x0111 Duplicate SOP Instance: other bytes under a known UID
    └── PriorsUnavailable      priors did not come from the PACS; carries what is missing
        ├── NoPatientKey       the film's Patient ID does not name one patient exactly
        ├── PeerUnreachable    no connection, or it broke
        ├── NotSecured         TLS failed, and without it nothing is asked
        ├── AssociationRejected  A-ASSOCIATE-RJ, with its reason in words
        ├── NothingAccepted    no presentation context for what is asked
        ├── QueryFailed        C-FIND did not end with Success
        ├── RetrieveFailed     C-GET or C-MOVE left objects behind
        └── DeadlinePassed     the time limit was reached

Statuses: PS3.4 Table B.2-1, PS3.4 C.4, PS3.7 Annex C.
"""

CANNOT_START = 78  # exit code EX_CONFIG: starting it again is of no use

SUCCESS = 0x0000
DUPLICATE_SOP_INSTANCE = 0x0111
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH_SOP_CLASS = 0xA900
CANNOT_UNDERSTAND = 0xC000
TOO_LARGE = 0xC001  # of the same kind (PS3.4 Table B.2-1: Cxxx); sending it again is of no use
NOT_AUTHORIZED = 0x0124  # of an object that was not asked for
PROCESSING_FAILURE = 0x0110  # not the object's fault: hilum itself could not take it in; send again


class HilumError(Exception):
    """Anything that hilum itself has to say went wrong."""


class ConfigError(HilumError):
    """The configuration cannot be used; the text names the key and what to write instead."""


class CertificateUnusable(HilumError):
    """A file of ours, needed for TLS, cannot be used; the text names it and what to do."""


class ServiceError(HilumError):
    """A role of the service cannot start or go on; the text says what to do."""


class Refused(HilumError):
    """An object is not taken in. ``status`` is what the sender gets."""

    status: int = CANNOT_UNDERSTAND


class ArchiveFull(Refused):
    """Too little space is left to keep another object."""

    status = OUT_OF_RESOURCES


class TooLarge(Refused):
    """It is larger than `[receiver] max_object_mb`; its bytes are not kept."""

    status = TOO_LARGE


class ClassMismatch(Refused):
    """The data set is of another SOP class than the request said."""

    status = DOES_NOT_MATCH_SOP_CLASS


class Unreadable(Refused):
    """The bytes are no data set, or one that does not say which object it is."""

    status = CANNOT_UNDERSTAND


class Conflict(Refused):
    """Another film is already kept under this SOP Instance UID, or corrections are refused."""

    status = DUPLICATE_SOP_INSTANCE


class PriorsUnavailable(HilumError):
    """Priors did not come from the PACS, or not all; the film can be answered without them.

    ``arrived`` and ``missing`` are SOP Instance UIDs: what was taken in before, and what was not.
    Both are empty when the failure came before anything was to be retrieved.
    """

    def __init__(
        self, text: str, *, arrived: tuple[str, ...] = (), missing: tuple[str, ...] = ()
    ) -> None:
        super().__init__(text)
        self.arrived = arrived
        self.missing = missing


class NoPatientKey(PriorsUnavailable):
    """Patient ID or issuer cannot be asked for exactly, so nobody is asked."""


class PeerUnreachable(PriorsUnavailable):
    """There is no connection to the PACS, or it broke."""


class NotSecured(PriorsUnavailable):
    """TLS with the PACS failed, and it is not asked without."""


class AssociationRejected(PriorsUnavailable):
    """The PACS answered with A-ASSOCIATE-RJ."""


class NothingAccepted(PriorsUnavailable):
    """The PACS accepted no presentation context for what is asked of it."""


class QueryFailed(PriorsUnavailable):
    """The PACS did not end C-FIND with Success, or returned what cannot be one patient's."""


class RetrieveFailed(PriorsUnavailable):
    """C-GET or C-MOVE sub-operations failed; the others arrived."""


class DeadlinePassed(PriorsUnavailable):
    """Find and retrieve together took longer than they may."""
