"""Deep, hyper and hyper-deep ensembles: what is trained, and what is chosen from it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from ..._checks import check_choice, check_integers, check_keywords
from ..._optional import require
from ..._reading.outputs import ArrayOutputs
from ..._results import Excluded, Result, Table
from ...errors import InputError
from ...methods.ensembles.proper_scores import Scores, ensemble_scores
from ...methods.ensembles.selection import EnsembleSelection, select_ensemble, stop_words
from ...studies.opening import open_study
from ...studies.study import Study
from ..execution import Execution
from ..plan import PlannedRun, check_searchable
from ..recipes import Recipe
from ..recipes import recipe as make_recipe
from ..search import Distribution, as_search
from ..seeding import base_seed
from ..train import train_plans
from .plans import row_plans, search_plans

if TYPE_CHECKING:
    from .artifact import Ensemble

VARIANTS = ("stratified", "unstratified", "fixed-init", "same-budget")
_KIND = {
    "stratified": "hyper-deep",
    "unstratified": "hyper",
    "fixed-init": "fixed-init hyper",
    "same-budget": "same-budget hyper",
}


class DeepEnsembleSettings(Execution, total=False):
    """Optional keywords of `deep_ensemble`, besides those of `Execution`.

    Attributes
    ----------
    shared_init : bool
        Whether the search starts all candidates from one initialisation (default False), as that of hyper-deep
        ensembles does (the two then share their search, in one folder).
    split, report_split : str
        Splits that choose and that are reported (default "validation", "test").
    objective : {"nll", "brier", "error"}
        What the best configuration is the best in (default "nll").
    """

    shared_init: bool
    split: str
    report_split: str
    objective: str


class HyperDeepSettings(Execution, total=False):
    """Optional keywords of `hyper_deep_ensemble`, besides those of `Execution`.

    Attributes
    ----------
    split, report_split : str
        Splits that choose and that are reported (default "validation", "test").
    objective, early_stop : str, bool
        As for `select_ensemble`, in both choices (default "nll", True).
    fill_first : bool
        Whether the choice after the search takes `size` distinct configurations in any case: without replacement, and
        without a stop where the score gets worse (default False).
    """

    split: str
    report_split: str
    objective: str
    early_stop: bool
    fill_first: bool


@dataclass(frozen=True, kw_only=True)
class _Own:
    """The settings of both procedures that are not of the execution, with their defaults."""

    shared_init: bool = False
    split: str = "validation"
    report_split: str = "test"
    objective: str = "nll"
    early_stop: bool = True
    fill_first: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedEnsemble(Result):
    """An ensemble that a procedure trained and chose; every run that it trained is in the study.

    Attributes
    ----------
    kind : str
        ``deep``, ``hyper-deep``, ``hyper``, ``fixed-init hyper`` or ``same-budget hyper``.
    study_path : str
        Folder of the study.
    member_ids : tuple of str
        Ids of the members.
    weights : ndarray [members]
        Their weights.
    hyperparameters : tuple of dict
        What was searched, of each member.
    init_seeds : tuple of int
        Initialisation seed of each member.
    n_trained : int
        Runs that the procedure needed, from the search on.
    first_selection, selection : EnsembleSelection or None
        Choice after the search, and the final one; a deep ensemble has only the search's best.
    scores : Scores
        Scores of the ensemble on the report split.
    report_split : str
        Which split that is.
    data : str or None
        Where the recipe's data lay.
    """

    picture = ".plots:plot_trained"

    kind: str
    study_path: str
    member_ids: tuple[str, ...]
    weights: np.ndarray
    hyperparameters: tuple[dict[str, Any], ...]
    init_seeds: tuple[int | None, ...]
    n_trained: int
    first_selection: EnsembleSelection | None
    selection: EnsembleSelection | None
    scores: Scores
    report_split: str
    data: str | None = None

    def study(self) -> Study:
        """Open the study with all runs."""
        return open_study(self.study_path)

    def ensemble(self, *, recipe: str | Recipe | None = None, data: str | os.PathLike[str] | None = None) -> Ensemble:
        """Return the ensemble to ship; see `make_ensemble`. `data` is where it is now, if it has moved."""
        from .from_study import weighted_ensemble

        weights = dict(zip(self.member_ids, self.weights.tolist(), strict=True))
        return weighted_ensemble(self.study(), weights, self.selection, recipe=recipe, data=data or self.data)

    def table(self) -> Table:
        """Return the members with weight, seed and hyperparameters."""
        names = sorted({name for values in self.hyperparameters for name in values})
        searched = {name: [values.get(name) for values in self.hyperparameters] for name in names}
        return Table({"member": self.member_ids, "weight": self.weights, "init seed": self.init_seeds, **searched})

    def sentence(self) -> str:
        """Return what was trained and what it reaches."""
        fewer = self.selection is not None and self.selection.size < self.selection.requested_size
        why = f" ({stop_words(self.selection)})" if fewer and self.selection is not None else ""
        return (
            f"A {self.kind} ensemble of {len(self.member_ids)}{why}, from {self.n_trained} trained runs: "
            f"{self.scores.sentence()} One search with one base seed: another would choose others."
        )


def deep_ensemble(
    recipe: str | Recipe,
    *,
    size: int,
    out: str | os.PathLike[str],
    search: Mapping[str, Any] | None = None,
    runs: int = 50,
    seed: int = 0,
    **settings: Unpack[DeepEnsembleSettings],
) -> TrainedEnsemble:
    """Train one configuration from several seeds and average: the best of a search, or the recipe's own.

    Parameters
    ----------
    recipe : str or Recipe
        What to train.
    size : int
        Members, with equal weights.
    out : path
        Folder of the study; called again, it goes on where it was interrupted.
    search : mapping, optional
        Search space, as for `train`; the best configuration on `split` is then trained from `size` seeds.
    runs : int
        Candidates of the search, the recipe's own configuration among them.
    seed : int
        Base seed.
    **settings
        Splits and objective, as `DeepEnsembleSettings` says, and where to train, as `Execution` says: ``workers``,
        ``device``, ``progress``, ...

    Returns
    -------
    TrainedEnsemble
        Members, scores, and the study that holds every run.

    References
    ----------
    Lakshminarayanan et al. (2017), arXiv 1612.01474.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> small = rs.recipe("digits-mlp", epochs=1, hidden=(8,), validation=300, evaluate=("test", "validation"))
    >>> found = rs.training.deep_ensemble(small, size=2, runs=2, out=mkdtemp() + "/deep", workers=1)
    >>> found.scores.n_examples
    360
    """
    work = _Work(recipe, search, out, seed, _divided(settings, DeepEnsembleSettings))
    own, size = work.own, int(check_integers(size, "size", 1, None))
    candidates = work.search(runs if search else 1, shared_init=own.shared_init)
    best: EnsembleSelection | None = None
    column, winner = 0, candidates[0]
    if search:
        best = work.select(candidates, 1, early_stop=True)
        winner = next(plan for plan in candidates if plan.id == best.member_ids[0])
        column = candidates.index(winner)
    rows = [plan for row in range(1, size) for plan in row_plans([(column, winner.hyperparameters)], row, work.seed)]
    everything = [*candidates, *rows]
    work.train(everything)
    members = {plan.id: 1 / size for plan in (winner, *rows)}
    return work.result("deep", members, everything, (best, None))


def hyper_deep_ensemble(
    recipe: str | Recipe,
    *,
    search: Mapping[str, Any],
    size: int,
    out: str | os.PathLike[str],
    runs: int = 50,
    variant: str = "stratified",
    seed: int = 0,
    **settings: Unpack[HyperDeepSettings],
) -> TrainedEnsemble:
    """Train an ensemble over hyperparameters and initialisations.

    ``"stratified"`` is the published procedure: random search from one initialisation, greedy choice of `size`
    configurations, these trained from `size` initialisations, greedy choice from that block. The other variants are its
    controls: ``"unstratified"`` chooses from a search in which every candidate has its own initialisation,
    ``"same-budget"`` from such a search with as many runs as the block could need, ``"fixed-init"`` from the search
    with one initialisation alone.

    Parameters
    ----------
    recipe : str or Recipe
        What to train; its data set must have the split that chooses (for example ``validation=600``).
    search : mapping
        Search space, as for `train`: ``{"l2": "loguniform(1e-3,1e3)", "dropout": "loguniform(1e-3,0.9)"}``.
    size : int
        Distinct members.
    out : path
        Folder of the study; called again, it goes on where it was interrupted. Variants with the same search may share
        a folder.
    runs : int
        Candidates of the search, the recipe's own configuration among them.
    variant : {"stratified", "unstratified", "same-budget", "fixed-init"}
        Which procedure.
    seed : int
        Base seed.
    **settings
        Splits and choice, as `HyperDeepSettings` says, and where to train, as `Execution` says: ``workers``,
        ``device``, ``progress``, ...

    Returns
    -------
    TrainedEnsemble
        Members, both choices, scores, and the study that holds every run.

    References
    ----------
    Wenzel et al. (2020), arXiv 2006.13570, algorithm 1.

    Examples
    --------
    >>> import runspread as rs
    >>> from tempfile import mkdtemp
    >>> small = rs.recipe("digits-mlp", epochs=1, hidden=(8,), validation=300, evaluate=("test", "validation"))
    >>> found = rs.hyper_deep_ensemble(
    ...     small, search={"l2": "loguniform(1e-3,1e2)"}, size=2, runs=3, out=mkdtemp() + "/deep", workers=1
    ... )
    >>> found.scores.n_examples
    360
    """
    check_choice(variant, "variant", VARIANTS)
    if not search:
        raise InputError("got an empty search space", "at least one hyperparameter")
    work = _Work(recipe, search, out, seed, _divided(settings, HyperDeepSettings))
    own, size = work.own, int(check_integers(size, "size", 1, None))
    count = runs + size * (size - 1) if variant == "same-budget" else runs
    candidates = work.search(count, shared_init=variant in ("stratified", "fixed-init"))
    stop = {"early_stop": False, "replacement": False} if own.fill_first else {"early_stop": own.early_stop}
    chosen = work.select(candidates, size, **stop)
    if variant != "stratified":
        return work.result(_KIND[variant], _weights(chosen), candidates, (chosen, chosen))
    columns = [(at, plan) for at, plan in enumerate(candidates) if plan.id in chosen.member_ids]
    configurations = [(at, plan.hyperparameters) for at, plan in columns]
    rows = [plan for row in range(1, size) for plan in row_plans(configurations, row, work.seed)]
    everything = [*candidates, *rows]
    work.train(everything)
    block = [*(plan for _, plan in columns), *rows]
    final = work.select(block, size, early_stop=own.early_stop)
    return work.result(_KIND[variant], _weights(final), everything, (chosen, final))


def _divided(settings: Mapping[str, Any], known: type[Any]) -> tuple[_Own, dict[str, Any]]:
    """Return a procedure's own settings, and those that say where runs are trained."""
    check_keywords(settings, known.__annotations__, "ensemble")
    own = {name: value for name, value in settings.items() if name not in Execution.__annotations__}
    return _Own(**own), {name: value for name, value in settings.items() if name not in own}


def _weights(chosen: EnsembleSelection) -> dict[str, float]:
    return {chosen.run_ids[i]: float(chosen.weights[i]) for i in chosen.members}


class _Work:
    """One study with the runs of a procedure: trains what is missing, reads what is there."""

    def __init__(
        self,
        recipe: str | Recipe,
        search: Mapping[str, Any] | None,
        out: str | os.PathLike[str],
        seed: int,
        settings: tuple[_Own, Mapping[str, Any]],
    ) -> None:
        require("torch", "training")
        self.own, self.execution = settings
        splits, chosen = (self.own.split, self.own.report_split), make_recipe(recipe)
        self.recipe = chosen.replace(evaluate=tuple(dict.fromkeys((*chosen.evaluate, *splits))))
        self.space: dict[str, Distribution] = as_search(search)
        for name in self.space:
            check_searchable(self.recipe, name)
        self.out, self.seed = out, base_seed(seed)
        self.study: Study | None = None

    def search(self, runs: int, *, shared_init: bool) -> list[PlannedRun]:
        """Train the search and return its plans."""
        runs = int(check_integers(runs, "runs", 1, None))
        plans = search_plans(self.recipe, self.space, runs, self.seed, shared_init=shared_init)
        self.train(plans)
        return plans

    def train(self, plans: Sequence[PlannedRun]) -> None:
        design = {"seed": self.seed, "search": {name: str(where) for name, where in self.space.items()}}
        described = {**design, "procedure": "ensembles"}
        self.study = train_plans(self.recipe, plans, described, out=self.out, **self.execution)

    def outputs(self, plans: Sequence[PlannedRun], split: str) -> ArrayOutputs:
        assert self.study is not None
        reader = self.study.predictions(split)
        places = {name: place for place, name in enumerate(reader.run_ids)}
        there = [plan.id for plan in plans if plan.id in places]
        if not there:
            raise InputError(f"none of the {len(plans)} trained runs completed", "at least one that did")
        lost = tuple(item for item in reader.excluded if item.run in {plan.id for plan in plans})
        array = np.stack([reader[places[name]] for name in there])
        return ArrayOutputs(array, reader.labels, lost, tuple(there))

    def select(self, plans: Sequence[PlannedRun], size: int, **options: Any) -> EnsembleSelection:
        outputs, objective = self.outputs(plans, self.own.split), self.own.objective
        return select_ensemble(outputs, size=size, kind="logits", objective=objective, **options)

    def result(
        self,
        kind: str,
        weights: Mapping[str, float],
        trained: Sequence[PlannedRun],
        selections: tuple[EnsembleSelection | None, EnsembleSelection | None],
    ) -> TrainedEnsemble:
        assert self.study is not None
        members = [plan for name in weights for plan in trained if plan.id == name]
        outputs = self.outputs(members, self.own.report_split)
        if len(outputs.run_ids) < len(members):
            lost = "; ".join(f"{item.run}: {item.reason}" for item in outputs.excluded)
            raise InputError(f"some members have no predictions ({lost})", "members that completed")
        return TrainedEnsemble(
            kind=kind,
            study_path=self.study.location,
            member_ids=tuple(weights),
            weights=np.array(list(weights.values())),
            hyperparameters=tuple(plan.hyperparameters for plan in members),
            init_seeds=tuple(plan.seeds.init for plan in members),
            n_trained=len(trained),
            first_selection=selections[0],
            selection=selections[1],
            scores=ensemble_scores(outputs, kind="logits", weights=list(weights.values())),
            report_split=self.own.report_split,
            data=self.recipe.data,
            excluded=self._excluded(trained),
        )

    def _excluded(self, plans: Sequence[PlannedRun]) -> tuple[Excluded, ...]:
        assert self.study is not None
        runs = [self.study.runs[plan.id] for plan in plans]
        return tuple(Excluded(run.id, run.status) for run in runs if run.status != "completed")
