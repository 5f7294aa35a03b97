"""Read config.toml and the environment into one frozen object.

Each settings class has a module of its own; here they are only put together.
The environment wins over the file: ``HILUM_RECEIVER__PORT=11200``. So does a secret, which is a
file of such a name in the folder that ``CREDENTIALS_DIRECTORY`` names, as systemd has it.
"""

import os
import tomllib
import typing
from collections.abc import Iterable
from datetime import tzinfo
from pathlib import Path
from typing import Any

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from inference.image.gate_settings import GateSettings
from inference.settings import InferenceSettings, did_you_mean
from scp.config.dashboard import DashboardSettings
from scp.config.destinations import DestinationSettings
from scp.config.network import ReceiverSettings
from scp.config.patients import PatientsSettings
from scp.config.priors import PriorsSettings
from scp.config.results import ResultSettings
from scp.config.storage import ArchiveSettings, DatabaseSettings
from scp.config.time_zone import zone_of
from scp.config.tls import ClientTlsSettings, ReceiverTlsSettings
from scp.config.worklist import WorklistSettings
from scp.errors import ConfigError

_PREFIX = "HILUM_"
_CONFIG_FILE = "HILUM_CONFIG"  # no key: which file it is (scp/commands/options.py)
_SECRETS = "CREDENTIALS_DIRECTORY"  # systemd.exec(5); in containers it is /run/secrets


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    data_dir: Path = Field(
        Path("var"),
        description="archive, quarantine and database; relative to the folder of config.toml",
    )
    time_zone: str = Field(
        "",
        description="the site's time zone, as \"Europe/Berlin\"; empty: the server's own. Pages "
        "and results show times in it, and the times of films that state no "
        "TimezoneOffsetFromUTC are read in it",
    )
    database: DatabaseSettings = DatabaseSettings()
    archive: ArchiveSettings = ArchiveSettings()
    receiver: ReceiverSettings = ReceiverSettings()
    gate: GateSettings = GateSettings()
    inference: InferenceSettings = InferenceSettings()
    results: ResultSettings = ResultSettings()
    destinations: tuple[DestinationSettings, ...] = ()
    priors: PriorsSettings = PriorsSettings()
    patients: PatientsSettings = PatientsSettings()
    worklist: WorklistSettings = WorklistSettings()
    dashboard: DashboardSettings = DashboardSettings()

    @model_validator(mode="before")
    @classmethod
    def _one_time_zone(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Take the key of before 0.5, ``[dashboard] time_zone``, for the one of today."""
        dashboard = content.get("dashboard")
        if not isinstance(dashboard, dict) or "time_zone" not in dashboard:
            return content
        dashboard = dict(dashboard)
        old, new = dashboard.pop("time_zone"), content.get("time_zone")
        if old and new and old != new:
            raise ValueError(
                f"time_zone = {new!r} and [dashboard] time_zone = {old!r} differ: remove the second"
            )
        return content | {"dashboard": dashboard, "time_zone": new or old}

    @field_validator("time_zone")
    @classmethod
    def _zone_is_known(cls, name: str) -> str:
        zone_of(name)
        return name

    @field_validator("destinations")
    @classmethod
    def _names_differ(
        cls, destinations: tuple[DestinationSettings, ...]
    ) -> tuple[DestinationSettings, ...]:
        names = [destination.name for destination in destinations]
        if len(set(names)) < len(names):
            raise ValueError("two destinations have the same name")
        return destinations

    @field_validator("priors")
    @classmethod
    def _what_is_moved_can_come(
        cls, priors: PriorsSettings, info: ValidationInfo
    ) -> PriorsSettings:
        receiver = info.data.get("receiver", ReceiverSettings())
        peers = [peer.ae_title for peer in receiver.peers]
        if priors.retrieve == "move" and peers and priors.ae_title not in peers:
            raise ValueError(
                f'retrieve = "move" has {priors.ae_title} send to our receiver: name it under'
                " [[receiver.peers]]"
            )
        return priors

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over secrets, and both over the file."""
        secrets = NestedSecretsSettingsSource(
            file_secret_settings,
            secrets_dir=os.environ.get(_SECRETS),
            secrets_dir_missing="ok",
        )
        return env_settings, secrets, init_settings

    @property
    def zone(self) -> tzinfo:
        """The site's time zone."""
        return zone_of(self.time_zone)

    @property
    def database_url(self) -> str:
        """The database that is meant."""
        return self.database.resolved(self.data_dir)

    def certificates(self) -> dict[str, tuple[str, str]]:
        """Return certificate and key that TLS shows, by who uses them."""
        receiver = self.receiver.tls
        used: dict[str, ReceiverTlsSettings | ClientTlsSettings] = {}
        used |= {} if receiver.mode == "off" else {"receiver": receiver}
        used |= {f"destination {place.name}": place.tls for place in self.destinations}
        used |= {"priors": self.priors.tls} if self.priors.retrieve != "off" else {}
        return {name: (tls.certificate, tls.key) for name, tls in used.items() if tls.certificate}

    def destinations_by_name(self) -> dict[str, DestinationSettings]:
        """Return the destinations by the names that the index knows them by."""
        return {destination.name: destination for destination in self.destinations}


def load_settings(path: Path, *, needed: bool = True) -> Settings:
    """Return the settings of a configuration file and the environment.

    Where no file is ``needed``, the defaults and the environment are all.

    Raises
    ------
    ConfigError
        The file cannot be read, or a key or value in it or in the environment is not right; the
        text names the key, and the nearest right one.
    """
    content = _read(path) if needed else {}
    _refuse_unknown("environment variable", os.environ)
    _refuse_unknown("secret", _secrets())
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise ConfigError(
            f"{path}:\n" + "\n".join(f"  {_explain(detail)}" for detail in error.errors())
        ) from error
    except SettingsError as error:
        raise ConfigError(f"the environment cannot be read: {error}") from error
    data_dir = path.parent.resolve() / settings.data_dir
    return settings.model_copy(update={"data_dir": data_dir})


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} is not there: run in the folder that has it, or name one with --config"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def _secrets() -> list[str]:
    """Return the names of the secrets that are there."""
    folder = os.environ.get(_SECRETS)
    if not folder or not Path(folder).is_dir():
        return []
    return [path.name for path in Path(folder).iterdir()]


def _refuse_unknown(what: str, names: Iterable[str]) -> None:
    """Refuse ``HILUM_`` names of no table; pydantic looks only at the ones it knows."""
    for name in names:
        if not name.startswith(_PREFIX) or name == _CONFIG_FILE:
            continue
        table = name.removeprefix(_PREFIX).split("__")[0].lower()
        if table not in Settings.model_fields:
            raise ConfigError(f"{what} {name}: no such key{_nearest(table, Settings)}")


def _explain(detail: ErrorDetails) -> str:
    """Say what is wrong with one key, and what would be right."""
    if not detail["loc"]:  # of several keys together
        return detail["msg"].removeprefix("Value error, ")
    *parents, last = detail["loc"]
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{key}: no such key{_nearest(str(last), _model_at(parents))}"
    return f"{key}: {detail['msg']}"


def _model_at(location: list[int | str]) -> type[BaseModel]:
    """Return the settings class that has a key."""
    model: type[BaseModel] = Settings
    for part in location:
        if isinstance(part, str) and (table := settings_class(model.model_fields[part])):
            model = table[0]
    return model


def settings_class(field: FieldInfo) -> tuple[type[BaseModel], bool] | None:
    """Return a table's class, and whether there may be several; None for a plain value."""
    inner = typing.get_args(field.annotation)
    kind = inner[0] if inner else field.annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind, bool(inner)
    return None


def _nearest(key: str, model: type[BaseModel]) -> str:
    """Return ``; did you mean …?``, or all the right keys when none is near."""
    hint = did_you_mean(key, model.model_fields)
    return f"; {hint or 'the keys here are ' + ', '.join(model.model_fields)}"
