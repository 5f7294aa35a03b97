"""What stops the network from reading films, whichever film it is; the text says why.

Light: importing this loads no torch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

_OURS = ("inference", "scp", "training")


class NotInstalled(ImportError):
    """A package that a command needs is not installed; the text says how to install it."""


def not_installed(package: str) -> NotInstalled:
    """Return the error for a package that is missing; in ``package`` submodules may follow."""
    name = package.partition(".")[0]
    return NotInstalled(
        f"this needs the package {name}, which is not installed: `make setup` in hilum's folder"
        " installs what is missing",
        name=name,
    )


@contextmanager
def missing_packages_named() -> Iterator[None]:
    """Raise `NotInstalled` where an import inside fails because its package is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] in _OURS:
            raise  # a fault of hilum's own
        raise not_installed(error.name) from error


def require_torch() -> None:
    """Raise `NotInstalled` if torch is not installed, without loading it."""
    if find_spec("torch") is None:
        raise not_installed("torch")


class EngineError(RuntimeError):
    """The engine cannot do what was asked; the text says why."""


class EngineClosed(EngineError):
    """The engine was closed before the film came."""


class BundleError(ValueError):
    """The folder is not a bundle that hilum can use; the text says why."""
