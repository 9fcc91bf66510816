"""The report's section on the best ensemble of a study's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._relabelling import relabelled
from .._words import count
from .sections import PAPERS, Figure, Section, figure, notes_of, papers

if TYPE_CHECKING:
    from ..methods.ensembles.candidates import Candidates
    from ..methods.ensembles.selection import EnsembleSelection
    from ..studies.study import Study

_RESTS_ON = ("caruana2004ensemble", "wenzel2020hyperparameter", "guo2017calibration")
_CHOOSING, _SEARCHED, _CALIBRATED = (PAPERS[key] for key in _RESTS_ON)


def ensemble(study: Study) -> Section:
    """Choose an ensemble on the validation split and score it on the test split, where there are both."""
    from ..methods.audit.auditing import audit_warnings
    from ..methods.ensembles import select_ensemble

    result = select_ensemble(_candidates(study))
    chosen = figure(
        relabelled(result, study.run_names).plot,
        shows="The score after each selection step, next to the best runs with equal weights and to random subsets.",
        does_not_show="How good the ensemble is, because the same examples selected it. The diamond is the held-out "
        "score.",
        paper=_CHOOSING,
    )
    reported = _on_test(study, result) if _reports(study) else ()
    figures = (chosen, *_members(study, result), *reported)
    notes = dict.fromkeys((*_cost(study, result), *audit_warnings(study, pooled=False), *notes_of(result)))
    return Section(
        "The best ensemble",
        result.sentence(),
        figures,
        (result.table(),),
        tuple(notes),
        short=_gain(result),
        **papers(*_RESTS_ON),
    )


def _gain(result: EnsembleSelection) -> str:
    """Return what the ensemble gains on examples that did not choose it, in the user's words."""
    from ..methods.ensembles.selection import gain_words
    from ..methods.ensembles.words import NAMES, loss_text

    checked = result.cross_validation
    if checked is None:
        return ""
    losses = f"{loss_text(checked.held_out)} against {loss_text(checked.held_out_single)}"
    against = f"{count(result.size, 'run')} chosen together against the best single run: {gain_words(checked)}"
    return f"{against}; {NAMES[result.objective]} on held-out examples is {losses}."


def _reports(study: Study) -> bool:
    return any(("test", None) in run.predictions for run in study.runs if run.status == "completed")


def _candidates(study: Study) -> Candidates:
    """Return what to choose from: runs that can be scored too, where there is a split to score on."""
    from ..methods.ensembles import read_candidates

    pool = read_candidates(study)
    scored = study.predictions("test").run_ids if _reports(study) else pool.ids
    return pool.only(scored, "no predictions on split 'test'") if set(scored) & set(pool.ids) else pool


def _cost(study: Study, result: EnsembleSelection) -> tuple[str, ...]:
    """Say what the ensemble costs against the best single run, where the study holds the weights."""
    wanted = (*result.member_ids, result.run_ids[result.best_single])
    if any(None not in study.runs[name].weights for name in wanted):
        return ()
    *members, single = (sum(array.size for array in study.weights(name).values()) for name in wanted)
    if not single:
        return ()
    passes = f"{result.size} forward passes instead of one" if result.size > 1 else "one forward pass"
    return (
        f"Cost: {sum(members):,} stored numbers against {single:,} for the best single run "
        f"({sum(members) / single:.2f} times as many), and {passes} per prediction. `runspread ensemble STUDY -o "
        "FOLDER` "
        "measures the time.",
    )


def _members(study: Study, result: EnsembleSelection) -> tuple[Figure, ...]:
    from ..plots import plot_members

    names = study.run_names
    own = {names[name]: study.runs[name].hyperparameters for name in result.member_ids}
    searched = max(len(values) for values in own.values())
    if not searched:
        return ()
    drawn = figure(
        lambda ax: plot_members(relabelled(result, names), own, ax),
        shows="The members' weights and their hyperparameters.",
        does_not_show="Which hyperparameter matters, because the members were selected together.",
        paper=_SEARCHED,
        size=(3.6 + 0.8 * searched, 1.9 + 0.34 * result.size),
    )
    return (drawn,)


def _on_test(study: Study, result: EnsembleSelection) -> tuple[Figure, ...]:
    from ..methods.ensembles import ensemble_scores, ensemble_sizes

    sizes = ensemble_sizes(study)
    scored = ensemble_scores(study, weights=result)
    return (
        figure(
            sizes.plot,
            shows="The score on the test split against the number of members, for each way of selecting them.",
            does_not_show="What another search or other seeds would give.",
            paper=_SEARCHED,
        ),
        figure(
            scored.plot,
            shows="Accuracy against confidence of the ensemble on the test split; larger dots hold more examples.",
            does_not_show="A proper score: a better ensemble may well have a larger calibration error.",
            paper=_CALIBRATED,
            size=(4.4, 4.0),
        ),
    )
