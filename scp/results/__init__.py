"""What was found, as DICOM objects. Pure: no network, no database, no clock."""

from scp.results.answer import Answer, ResultObject
from scp.results.identity import Product, derive_uid, prepare_source
from scp.results.objects import make_objects, to_bytes
from scp.results.settings import ResultSettings

__all__ = [
    "Answer",
    "Product",
    "ResultObject",
    "ResultSettings",
    "derive_uid",
    "make_objects",
    "prepare_source",
    "to_bytes",
]
