"""What a search for settings found: a table, a plot, and the best settings as a file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table

from training.settings import TrainSettings

TABLE, PLOT, BEST_SETTINGS = "table.md", "plot.png", "best.toml"

INK, FAINT, ACCENT = "#1f2933", "#b8c1cc", "#0b6e8a"


def write_results(study: optuna.Study, base: Mapping[str, Any], out: Path) -> None:
    """Write the table, the plot and the best settings; nothing while no try is complete."""
    if not completed(study):
        return
    (out / TABLE).write_text(markdown(study))
    (out / BEST_SETTINGS).write_text(toml_of(dict(base) | study.best_params))
    plot(study, out / PLOT)


def completed(study: optuna.Study) -> list[FrozenTrial]:
    """Return the tries that came to their end, the best first."""
    trials = study.get_trials(states=(TrialState.COMPLETE,))
    return sorted(trials, key=lambda trial: -(trial.value or 0))


def columns(study: optuna.Study) -> list[str]:
    """Return the heads of the table: the settings, then the figures."""
    return [*completed(study)[0].params, "val score", "range over seeds", "seeds", "try"]


def rows(study: optuna.Study) -> list[list[str]]:
    """Return the cells of the table, the best point first, those cut short last."""
    complete = [_row(trial, f"{trial.value:.4f}") for trial in completed(study)]
    pruned = study.get_trials(states=(TrialState.PRUNED,))
    return complete + [_row(trial, "stopped early") for trial in pruned]


def _row(trial: FrozenTrial, mean: str) -> list[str]:
    scores = trial.user_attrs.get("scores", [])
    spread = f"{min(scores):.4f} to {max(scores):.4f}" if len(scores) > 1 else ""
    point = [_short(value) for value in trial.params.values()]
    return [*point, mean, spread, str(len(scores)), str(trial.number)]


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def table(study: optuna.Study) -> Table:
    """Return the table for a terminal."""
    shown = Table(title=f"{len(completed(study))} points tried to the end")
    for column in columns(study):
        shown.add_column(column)
    for row in rows(study):
        shown.add_row(*row)
    return shown


def markdown(study: optuna.Study) -> str:
    """Return the table as Markdown."""
    heads = columns(study)
    lines = [heads, ["---"] * len(heads), *rows(study)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def toml_of(settings: Mapping[str, Any]) -> str:
    """Return what is not a default, as TOML that `hilum train --config` reads."""
    left = {"device", "workers", "seed"}
    known = TrainSettings.model_validate(settings).model_dump(exclude_defaults=True, exclude=left)
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in known.items())


def plot(study: optuna.Study, path: Path) -> None:
    """Draw the search over time, and the scores over each setting.

    No figure of importance: of 20 points, PED-ANOVA called a setting without effect the main one.
    """
    trials = sorted(completed(study), key=lambda trial: trial.number)
    names = list(trials[0].params)
    figure = Figure(figsize=(4 * (1 + len(names)), 3.6), layout="constrained")
    first, *others = figure.subplots(1, 1 + len(names), sharey=True, squeeze=False)[0]
    _history(first, trials)
    for axes, name in zip(others, names, strict=True):
        _slice(axes, trials, name)
        axes.set_title(name, fontsize=10, color=INK)
    for axes in (first, *others):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=FAINT, linewidth=0.4)
    figure.savefig(path, dpi=120)


def _values(trials: Sequence[FrozenTrial]) -> list[float]:
    return [float(trial.value or 0) for trial in trials]


def _history(axes: Axes, trials: Sequence[FrozenTrial]) -> None:
    values, numbers = _values(trials), [trial.number for trial in trials]
    best = [max(values[: k + 1]) for k in range(len(values))]
    axes.scatter(numbers, values, color=INK, s=18, label="one point")
    axes.step(numbers, best, color=ACCENT, where="post", label="best so far")
    axes.set(xlabel="try", ylabel="val score")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("search", fontsize=10, color=INK)
    axes.legend(frameon=False, fontsize=8)


def _slice(axes: Axes, trials: Sequence[FrozenTrial], name: str) -> None:
    """Draw the scores over one setting; a bar spans the seeds."""
    space: Any = trials[0].distributions[name]
    named = isinstance(space, optuna.distributions.CategoricalDistribution)
    for trial in trials:
        at = str(trial.params[name]) if named else trial.params[name]
        scores = trial.user_attrs.get("scores", [trial.value])
        axes.plot([at, at], [min(scores), max(scores)], color=FAINT, linewidth=2, zorder=1)
        axes.scatter([at], _values([trial]), color=INK, s=18, zorder=2)
    if named:
        axes.tick_params(axis="x", labelrotation=20, labelsize=8)
        return
    low, high = space.low, space.high  # the whole range: what was not tried shows too
    if space.log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(low / 1.1, high * 1.1)
    else:
        axes.set_xlim(low - 0.05 * (high - low), high + 0.05 * (high - low))
