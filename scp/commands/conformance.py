"""The tables of the DICOM conformance statement that follow from code and configuration (PS3.2).

docs/conformance.md holds those of the default configuration between marks; `hilum conformance`
prints those of a site.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from pydantic import BaseModel
from pydicom.sr.coding import Code
from pydicom.uid import UID
from pynetdicom import DEFAULT_TRANSFER_SYNTAXES
from pynetdicom.sop_class import Verification

from inference.findings import FINDINGS, PRIVATE_SCHEME
from scp import errors
from scp.config.destinations import DestinationSettings
from scp.config.load import Settings
from scp.config.network import Peer
from scp.config.results import ResultSettings
from scp.config.tls import ClientTlsSettings
from scp.dimse.peers import TRANSFER_SYNTAXES
from scp.dimse.query import FIND, KEYS
from scp.dimse.receiver import accepted_sop_classes
from scp.dimse.retrieve import GET, MOVE
from scp.outcomes.delivery import STORE_STATUSES, Kind
from scp.results import codes
from scp.results.kinds import KINDS, REPORT_CLASSES, class_name, kinds_made

_MARKED = re.compile(r"(<!-- from the code: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
# what is answered to C-STORE, beside the statuses of `scp.errors.Refused`
_ANSWERS = (
    (errors.SUCCESS, "Success", "on disk, indexed, and queued to be read; or here already"),
    (
        errors.PROCESSING_FAILURE,
        "Processing Failure",
        "hilum's own fault, such as a database that is away: send again",
    ),
)


def filled(page: str, settings: Settings) -> str:
    """Return a page with every marked table renewed.

    Raises
    ------
    KeyError
        It marks a table that there is not.
    """
    return _MARKED.sub(lambda mark: mark[1] + TABLES[mark[2]](settings) + mark[3], page)


def statement(settings: Settings) -> str:
    """Return all tables under their names, as a configuration makes them."""
    return "\n".join(f"## {name}\n\n{make(settings)}" for name, make in TABLES.items())


def _services(settings: Settings) -> str:
    taken = accepted_sop_classes(secondary_captures=settings.gate.accept_secondary_capture)
    roles: dict[UID, set[str]] = {UID(Verification): {"SCU", "SCP"}}
    for sop_class in taken:
        roles.setdefault(UID(sop_class), set()).add("SCP")
    for kind in kinds_made(settings.results):
        roles.setdefault(kind.sop_class, set()).add("SCU")
    for model in _retrieval(settings):
        roles.setdefault(model, set()).add("SCU")
    rows = (
        (
            class_name(uid),
            f"`{uid}`",
            *("yes" if role in supported else "no" for role in ("SCU", "SCP")),
        )
        for uid, supported in roles.items()
    )
    return _table(("SOP Class", "UID", "SCU", "SCP"), rows)


def _retrieval(settings: Settings) -> tuple[UID, ...]:
    operations = {"off": (), "get": (FIND, GET), "move": (FIND, MOVE)}
    return operations[settings.priors.retrieve]


def _accepted(settings: Settings) -> str:
    taken = accepted_sop_classes(secondary_captures=settings.gate.accept_secondary_capture)
    rows = ((class_name(uid), f"`{uid}`", "all of the next table") for uid in taken)
    uncompressed = ", ".join(UID(syntax).name for syntax in DEFAULT_TRANSFER_SYNTAXES)
    verification = (class_name(Verification), f"`{Verification}`", uncompressed)
    return _table(("SOP Class", "UID", "Transfer Syntaxes"), [verification, *rows])


def _transfer_syntaxes(_: Settings) -> str:
    rows = ((syntax.name, f"`{syntax}`") for syntax in TRANSFER_SYNTAXES)
    return _table(("Transfer Syntax", "UID"), rows)


def _statuses(_: Settings) -> str:
    refusals = (
        (kind.status, kind.__name__, _type_text(kind)) for kind in errors.Refused.__subclasses__()
    )
    rows = (
        (f"0x{status:04X}", name, words) for status, name, words in sorted((*_ANSWERS, *refusals))
    )
    return _table(("Status", "Name", "When"), rows)


def _type_text(kind: type) -> str:
    return (kind.__doc__ or "").split("\n")[0].rstrip(".")


def _delivery_statuses(_: Settings) -> str:
    rows = (
        (
            "-".join(dict.fromkeys(f"0x{code:04X}" for code in (row.first, row.last))),
            row.name,
            row.kind.value,
            _CONSEQUENCES[row.kind],
        )
        for row in STORE_STATUSES
    )
    return _table(("Status", "Name", "Kind", "What hilum does"), rows)


_CONSEQUENCES = {
    Kind.SUCCESS: "delivered",
    Kind.WARNING: "delivered; the warning is kept and shown",
    Kind.PERMANENT: "a dead letter at once",
    Kind.TRANSIENT: "sent again, later each time",
}


def _sent(settings: Settings) -> str:
    made = {kind.name: kind for kind in kinds_made(settings.results)}
    rows = (
        (
            kind.says,
            class_name(made.get(kind.name, kind).sop_class),
            f"`{made.get(kind.name, kind).sop_class}`",
            kind.transfer_syntax.name,
            kind.modality,
            str(settings.results.first_series_number + kind.place),
            f"`{kind.setting}`: {'on' if kind.name in made else 'off'}",
        )
        for kind in KINDS
    )
    heads = ("Object", "SOP Class", "UID", "Transfer Syntax", "Modality", "Series", "`[results]`")
    return _table(heads, rows)


def _report_classes(settings: Settings) -> str:
    rows = (
        (
            f'`"{name}"`',
            class_name(uid),
            f"`{uid}`",
            "chosen" if name is settings.results.report_class else "",
        )
        for name, uid in REPORT_CLASSES.items()
    )
    return _table(("`report_class`", "SOP Class", "UID", ""), rows)


def _parameters(settings: Settings) -> str:
    rows = [
        *_keys("receiver", settings.receiver),
        *_keys("receiver.tls", settings.receiver.tls),
        *_fields("receiver.peers", Peer),
        *_fields("destinations", DestinationSettings),
        *_keys("priors", settings.priors),
        *_fields("destinations.tls", ClientTlsSettings, brackets="[{}], [priors.tls]"),
        *_keys("patients", settings.patients),
        *_keys("results", settings.results, skip=set(ResultSettings.model_fields) - _SAID),
        *_keys("gate", settings.gate),
    ]
    return _table(("Parameter", "Value", "Meaning"), rows)


# of [results], what concerns the network; the rest is how findings are read and drawn
_SAID = {kind.setting for kind in KINDS} | {"report_class", "first_series_number"}


def _keys(
    table: str, settings: BaseModel, skip: Iterable[str] = ()
) -> Iterator[tuple[str, str, str]]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name not in skip and not isinstance(value, tuple | BaseModel):
            yield f"`[{table}] {name}`", f"`{value}`", field.description or ""


def _fields(
    table: str, model: type[BaseModel], brackets: str = "[[{}]]"
) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            continue
        default = "" if field.is_required() else f"`{field.default}`"
        yield f"`{brackets.format(table)} {name}`", default, field.description or ""


def _query_keys(_: Settings) -> str:
    rows = ((level, key, how) for level, keys in KEYS.items() for key, how in keys.items())
    return _table(("Level", "Key", "Matching"), rows)


def _private_codes(_: Settings) -> str:
    used = [value for value in vars(codes).values() if isinstance(value, Code)]
    used += [*codes.CHANGES.values(), *(codes.code_of(finding.code) for finding in FINDINGS)]
    ours = {code.value: code.meaning for code in used if code.scheme_designator == PRIVATE_SCHEME}
    return _table(("Code Value", "Code Meaning"), ((f"`{k}`", v) for k, v in sorted(ours.items())))


def _findings(_: Settings) -> str:
    rows = (
        (
            finding.name,
            *(f"{c.value} {c.scheme} {c.meaning}" for c in (finding.code, finding.site)),
        )
        for finding in FINDINGS
    )
    return _table(("Finding", "Code", "Finding Site"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    cells = ([str(cell).replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


TABLES: dict[str, Callable[[Settings], str]] = {
    "services": _services,
    "accepted": _accepted,
    "transfer_syntaxes": _transfer_syntaxes,
    "statuses": _statuses,
    "delivery_statuses": _delivery_statuses,
    "sent": _sent,
    "report_classes": _report_classes,
    "query_keys": _query_keys,
    "parameters": _parameters,
    "findings": _findings,
    "private_codes": _private_codes,
}
