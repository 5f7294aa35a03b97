"""`hilum tune`: search for settings, and list all trials in one table.

The study is an SQLite file in the folder, and each try a run of `hilum train`: killed at any
moment, the search goes on, and so does the run that was under way.

References
----------
Akiba et al., Optuna, KDD 2019.
"""

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any, Literal, Self

import optuna
import torch
from optuna.trial import TrialState
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.classifier.train import begin, decoded, labels_of, refuse_too_few, task, teachers
from training.classifier.tune_report import write_results
from training.data.film_list import Source
from training.data.film_set import FilmSet
from training.data.record import Record
from training.loop import OtherRun, fit
from training.settings import BadSetting, TrainSettings, settings_of

STUDY = "study.db"
DONE = (TrialState.COMPLETE, TrialState.PRUNED)

Choice = str | bool | int | float
Films = Callable[[int], tuple[FilmSet, FilmSet]]


class Range(BaseModel):
    """Numbers from low to high, both included; whole ones if both are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: int | float
    high: int | float
    log: bool = Field(default=False, description="whether factors count, not differences")


class Plan(BaseModel):
    """What is searched: the tables ``[study]`` and ``[search]``, and all other settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sampler: Literal["tpe", "grid"] = "tpe"
    trials: int = Field(default=20, ge=1, description="points tried; a grid is tried whole")
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1, description="runs of each point")
    base: dict[str, Any]
    search: dict[str, Range | tuple[Choice, ...]] = Field(min_length=1)

    @model_validator(mode="after")
    def _every_point_can_be(self) -> Self:
        for name, space in self.search.items():
            if name == "seed":
                raise ValueError("seeds are those of [study], not searched for")
            if isinstance(space, Range) and self.sampler == "grid":
                raise ValueError(f"{name}: a grid wants a list, not a range")
            ends = (space.low, space.high) if isinstance(space, Range) else space
            for value in ends:
                settings_of(TrainSettings, self.base | {name: value})
        return self

    @property
    def points(self) -> list[dict[str, Choice]]:
        """Return every point of a grid; a search has none before it begins."""
        if self.sampler != "grid":
            return []
        lists = [space for space in self.search.values() if not isinstance(space, Range)]
        return [dict(zip(self.search, values, strict=True)) for values in product(*lists)]


def read_plan(config: Path, changes: Sequence[str]) -> Plan:
    """Read the TOML file of a study; ``NAME=VALUE`` pairs change its fixed settings.

    Raises
    ------
    BadSetting
    """
    try:
        plan = tomllib.loads(config.read_text())
        study, search = plan.pop("study", {}), plan.pop("search", {})
        base = plan | dict(change.split("=", 1) for change in changes)
        return Plan(**study, base=settings_of(TrainSettings, base).model_dump(), search=search)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "search"
        raise BadSetting(f"{config}: {where}: {first['msg']}") from error
    except (TypeError, ValueError) as error:
        raise BadSetting(f"{config}: {error}") from error


@dataclass(frozen=True)
class Search:
    """What each try of a study needs."""

    plan: Plan
    records: Sequence[Record]
    films: Films
    out: Path
    device: str

    def __call__(self, trial: optuna.Trial) -> float:
        """Train one point with every seed; return the mean of the best scores."""
        point = {name: suggest(trial, name, space) for name, space in self.plan.search.items()}
        scores: list[float] = []
        for number, seed in enumerate(self.plan.seeds):
            settings = settings_of(TrainSettings, self.plan.base | point | {"seed": seed})
            scores.append(self._run(trial, number * settings.epochs, settings))
            trial.set_user_attr("scores", scores)
        return sum(scores) / len(scores)

    def _run(self, trial: optuna.Trial, steps: int, settings: TrainSettings) -> float:
        """Train once; epochs of earlier seeds are ``steps``."""
        hopeless = False

        def should_stop(epoch: int, score: float) -> bool:
            nonlocal hopeless
            trial.report(score, steps + epoch)
            hopeless = epoch < settings.epochs and trial.should_prune()
            return hopeless

        settings = settings.model_copy(update={"device": self.device})
        seen, held = self.films(settings.size_px)
        network, _ = begin(labels_of(self.records, "train"), settings)
        learnt = task(network, seen, held, settings, should_stop)
        best = fit(learnt, settings, self.out / "runs" / _name(settings))
        if hopeless:
            raise optuna.TrialPruned
        return float(torch.load(best, map_location="cpu", weights_only=True)["score"])


def _name(settings: TrainSettings) -> str:
    """Name a run by what is trained: a try that was killed finds what it left."""
    canonical = settings.model_dump_json(exclude={"device", "workers"})
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def suggest(trial: optuna.Trial, name: str, space: Range | tuple[Choice, ...]) -> Choice:
    """Ask for the next value of one setting."""
    if not isinstance(space, Range):
        chosen: Choice = trial.suggest_categorical(name, space)  # type: ignore[assignment]
        return chosen
    if isinstance(space.low, int) and isinstance(space.high, int):
        return trial.suggest_int(name, space.low, space.high, log=space.log)
    return trial.suggest_float(name, space.low, space.high, log=space.log)


def tune(source: Source, out: Path, plan: Plan, device: str = "cpu") -> optuna.Study:
    """Search, or go on with, the study in ``out``; write its table, plot and best settings.

    Raises
    ------
    BadFilmList, BadSetting, NoWeights, OtherRun
    """
    base = settings_of(TrainSettings, plan.base)
    if base.teach_val:
        raise BadSetting("teach_val: a search chooses by val films, so they cannot teach")
    records = teachers(source.records(), base)
    refuse_too_few(records, base)
    out.mkdir(parents=True, exist_ok=True)
    films: Films = lru_cache(maxsize=2)(lambda size_px: decoded(records, size_px))
    with open_study(out / STUDY, plan) as study:
        left = (len(plan.points) or plan.trials) - len(study.get_trials(states=DONE))
        if left > 0:
            study.optimize(Search(plan, records, films, out, device), n_trials=left)
        write_results(study, plan.base, out)
    return study


@contextmanager
def open_study(file: Path, plan: Plan) -> Iterator[optuna.Study]:
    """Open the study in ``file``, or begin it; tries that were cut short are made again.

    Raises
    ------
    OtherRun
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    try:
        study = optuna.create_study(
            storage=storage, study_name="hilum", direction="maximize", load_if_exists=True
        )
        # a fixed seed would propose after a restart what it proposed at the beginning
        study.sampler = optuna.samplers.TPESampler(seed=len(study.trials))
        study.pruner = _pruner(plan)
        _begin(study, file, plan)
        for point in unfinished(study):
            study.enqueue_trial(dict(point))
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _pruner(plan: Plan) -> optuna.pruners.BasePruner:
    """Stop what is worse than half of the others in the same epoch; a grid is run completely."""
    if plan.sampler == "grid":
        return optuna.pruners.NopPruner()
    warmup = settings_of(TrainSettings, plan.base).epochs // 3
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=warmup)


def _begin(study: optuna.Study, file: Path, plan: Plan) -> None:
    stored = json.loads(plan.model_dump_json(exclude={"trials"}))
    known = study.user_attrs.get("plan")
    if known is None:
        study.set_user_attr("plan", stored)
        for point in plan.points:
            study.enqueue_trial(point)
    elif known != stored:
        raise OtherRun(f"{file} is a study of other settings: {json.dumps(known)}")


def unfinished(study: optuna.Study) -> list[Mapping[str, Any]]:
    """Return the points whose tries were cut short, by a kill or by an error, and not made again.

    One process at a time works on a study: what is still called running was killed.
    """
    for stray in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(stray.number, state=TrialState.FAIL)
    stored = [_point(trial) for trial in study.get_trials(states=(*DONE, TrialState.WAITING))]
    cut = [_point(trial) for trial in study.get_trials(states=(TrialState.FAIL,))]
    return [p for k, p in enumerate(cut) if p and p not in stored and p not in cut[:k]]


def _point(trial: optuna.trial.FrozenTrial) -> Mapping[str, Any]:
    """Return what a trial tries; of one that waits, what it was told to."""
    fixed: Mapping[str, Any] = trial.system_attrs.get("fixed_params", {})
    return trial.params or fixed
