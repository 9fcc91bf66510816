"""What the name of a metric says: whether lower is better, its unit, and how a sentence calls it (scores 1.2, 1.3)."""

from __future__ import annotations

import re
from collections.abc import Collection

from ...errors import InputError

_LOWER_WORDS = """loss error err nll ce xent bpb bpc bits ppl perplexity mse mae rmse wer cer ter fid kid ece brier
    regret eer time latency seconds"""
_HIGHER_WORDS = """acc accuracy top f auc auroc auprc map iou miou dice bleu rouge chrf return reward em exact pass ndcg
    mrr recall precision mcc psnr ssim elo win success kappa spearman pearson"""
LOWER, HIGHER = frozenset(_LOWER_WORDS.split()), frozenset(_HIGHER_WORDS.split())
_NO_SHARE = frozenset(("return", "reward", "elo", "psnr"))  # higher is better, and no share of anything
_LONG = {"val": "validation", "acc": "accuracy", "eval": "evaluation", "dev": "development"}
FRACTION, PERCENT, PLAIN = "fraction", "percent", "plain"
MOST_OF_FRACTION = 1.5  # above, an accuracy is in percent


def words_of(metric: str) -> list[str]:
    """Return the words of a metric's name in lower case."""
    return [word for word in re.split(r"[_\-/.,\s\d]+", metric.lower()) if word]


def names_a_metric(name: str) -> bool:
    """Whether a word of a name is that of a metric."""
    return bool(set(words_of(name)) & (LOWER | HIGHER))


def found_direction(metric: str) -> bool | None:
    """Return whether lower is better by the words of the name; None where they say nothing, or both."""
    words = set(words_of(metric))
    lower, higher = bool(words & LOWER), bool(words & HIGHER)
    return None if lower == higher else lower


def direction(metric: str, given: bool | None) -> bool:
    """Return whether lower is better: as given, or by the name; else ask."""
    found = found_direction(metric) if given is None else given
    if found is None:
        raise InputError(
            f"the name of the metric {metric!r} does not tell: is higher or lower better?"
            if metric
            else "the scores have no name of a metric: is higher or lower better?",
            hint="Pass lower_is_better=True or lower_is_better=False.",
        )
    return found


def is_share(metric: str) -> bool:
    """Whether the metric is like an accuracy, a share of something."""
    words = set(words_of(metric))
    return bool(words & HIGHER) and not words & (LOWER | _NO_SHARE)


def unit_of(metric: str, values: Collection[float], percent_cells: int, cells: int) -> str:
    """Return the unit of a metric's finite values: fraction, percent or plain.

    Raises
    ------
    InputError
        Some cells with a percent sign and some without.
    """
    if percent_cells and percent_cells < cells:
        raise InputError(
            f"{metric or 'the scores'} has mixed units: {percent_cells} of {cells} cells have a percent sign",
            "all of them or none",
            "Write all in percent, or all as fractions.",
        )
    if percent_cells:
        return PERCENT
    if not is_share(metric) or not len(values) or min(values) < 0:
        return PLAIN
    largest = max(values)
    if largest <= 1:
        return FRACTION
    return PERCENT if MOST_OF_FRACTION < largest <= 100 else PLAIN


def refuse_mixed(metric: str, ranges: dict[str, tuple[float, float]]) -> None:
    """Raise if an accuracy is a fraction in one arm and in percent in another (smallest and largest value by arm)."""
    if not is_share(metric):
        return
    fractions = [name for name, (low, high) in ranges.items() if low >= 0 and high <= 1]
    percents = [name for name, (low, _) in ranges.items() if low > MOST_OF_FRACTION]
    if fractions and percents:
        raise InputError(
            f"{metric} has mixed units: {fractions[0]} lies between 0 and 1, {percents[0]} above {MOST_OF_FRACTION}",
            "one unit",
            "Write all in percent, or all as fractions.",
        )


def spoken(metric: str) -> str:
    """Return a metric's name as a sentence calls it: ``val_loss`` is validation loss."""
    parts = [part for part in re.split(r"[_\s]+", metric) if part]
    return " ".join(_LONG.get(part.lower(), part) for part in parts) or "score"
