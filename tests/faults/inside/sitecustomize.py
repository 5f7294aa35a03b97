"""Fail points from outside: a process whose ``PYTHONPATH`` has this folder dies where it is told.

Named functions of the service are wrapped as their modules are imported. The file ``FAIL_POINT``
names the one at which to die, as "MODULE:FUNCTION before" or "... after", with the number of the
call: whichever process comes there first removes the file and sends itself SIGKILL. No product code
knows of it.
"""

import importlib.abc
import os
import signal
import sys
from functools import wraps
from pathlib import Path

_ARMED = Path(os.environ["FAIL_POINT"])
_WATCHED = os.environ["FAIL_POINTS"].split(",")
_calls = {}


def _die_at(point):
    """Kill this process if it is told to die at this call of this point."""
    try:
        name, number = _ARMED.read_text().rsplit(" ", 1)
    except FileNotFoundError:
        return
    if name != point:
        return
    _calls[point] = _calls.get(point, 0) + 1
    if _calls[point] == int(number):
        _ARMED.rename(_ARMED.with_suffix(".hit"))
        os.kill(os.getpid(), signal.SIGKILL)


def _wrapped(function, name):
    @wraps(function)
    def watched(*arguments, **keywords):
        _die_at(f"{name} before")
        result = function(*arguments, **keywords)
        _die_at(f"{name} after")
        return result

    return watched


def _watch(module):
    for name in _WATCHED:
        where, _, function = name.partition(":")
        if where != module.__name__:
            continue
        owner, _, attribute = function.rpartition(".")
        holder = getattr(module, owner) if owner else module
        setattr(holder, attribute, _wrapped(getattr(holder, attribute), name))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of watched functions as the others do, and wraps what they define."""

    _modules = frozenset(name.partition(":")[0] for name in _WATCHED)

    def find_spec(self, name, path=None, target=None):
        if name not in self._modules:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((s for f in others if (s := f.find_spec(name, path, target))), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                _watch(module)

            spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, _Finder())
