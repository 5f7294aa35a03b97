"""config.toml as it is shipped: every setting with its default, made from the settings."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from scp.config.load import Settings, settings_class

_WIDTH = 100
_HEAD = """\
# hilum's configuration: every setting with its default, its unit and the reason.
#
# Each key can be set from outside too, and that wins: HILUM_RECEIVER__PORT=11200 hilum serve
# A key that does not exist is an error. `hilum check` says whether all this works.
"""


def reference() -> str:
    """Return the text of config.toml; loaded, it is the default configuration."""
    return "\n\n".join([_HEAD.rstrip(), *_tables(Settings, "")]) + "\n"


def _tables(
    model: type[BaseModel], table: str, mark: str = "", *, several: bool = False
) -> Iterator[str]:
    """Yield a table's text and those below it; ``mark`` makes a comment of what is an example."""
    plain, below = [], []
    for key, field in model.model_fields.items():
        nested = settings_class(field)
        if nested is None:
            plain.append(_key(key, field, mark))
        else:
            below.append((f"{table}.{key}".lstrip("."), *nested))
    yield "\n".join([*_head(model, table, mark, several=several), *plain])
    for name, kind, are_several in below:
        yield from _tables(kind, name, "#" if are_several else mark, several=are_several)


def _head(model: type[BaseModel], table: str, mark: str, *, several: bool) -> list[str]:
    if not table:
        return []
    says = " ".join((model.__doc__ or "").split("\n\n")[0].split())
    if several:
        return [*_comment(f"{says} One such table each:"), f"{mark}[[{table}]]"]
    return [*_comment(says), f"{mark}[{table}]"]


def _key(key: str, field: FieldInfo, mark: str) -> str:
    value = (
        field.examples[0]
        if field.is_required() and field.examples
        else to_jsonable_python(field.get_default(call_default_factory=True))
    )
    return "\n".join([*_comment(field.description or ""), f"{mark}{key} = {_toml(value)}"])


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()),
        _WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _toml(value: Any) -> str:
    """Write a value: JSON's form is TOML's too, for all that a setting can be."""
    if not isinstance(value, list) or not value:
        return json.dumps(value, ensure_ascii=False)
    items = ", ".join(json.dumps(one, ensure_ascii=False) for one in value) + ","
    lines = textwrap.wrap(
        items, _WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
    )
    return "\n".join(["[", *lines, "]"])
