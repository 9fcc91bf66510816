"""How much the members of an ensemble differ in what they predict."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Unpack

import numpy as np

from ..._checks import check_choice
from ..._reading.opening import opens
from ..._reading.options import ReadingOptions, reading_of
from ..._reading.probabilities import Floats, Member, Members, read_members
from ..._results import Result, Table
from .._ties import top_class
from ..audit.auditing import warns_of_seeds

KL_PAIRS = ("all", "i<j")
_OF_PROBABILITIES = (
    "kl", "cosine_similarity", "brier_diversity", "predictive_entropy", "expected_entropy", "mutual_information",
)  # fmt: skip
NORMALISER = 1e-7  # as in the authors' code: keeps a perfect ensemble from dividing by zero


@dataclass(frozen=True, eq=False, kw_only=True)
class Diversity(Result):
    """Diversity of the distinct members (exact copies count once).

    Attributes
    ----------
    disagreement : float
        Mean over pairs of members of the share of examples with different top-1 classes.
    normalised_disagreement : float
        `disagreement` divided by the error rate of the ensemble (plus 1e-7).
    kl : float
        Mean over pairs of the Kullback-Leibler divergence in nats; infinite where one member excludes what
        another allows.
    kl_pairs : {"all", "i<j"}
        All ordered pairs, or only those with i < j (which depends on the order of the members).
    cosine_similarity : float
        Mean over pairs and examples of the cosine between probability vectors.
    brier_diversity : float
        Mean over members and examples of the squared distance to the average; the members' mean Brier score
        minus that of the ensemble.
    predictive_entropy, expected_entropy, mutual_information : float
        Entropy of the average, average entropy of the members, and their difference, in nats.
    ensemble_accuracy : float
        Accuracy of the average of the distinct members.
    n_members, n_duplicates, n_examples : int
        Distinct members, copies that were excluded, examples.
    """

    picture = ".plots:plot_diversity"

    disagreement: float
    normalised_disagreement: float
    kl: float
    kl_pairs: str
    cosine_similarity: float
    brier_diversity: float
    predictive_entropy: float
    expected_entropy: float
    mutual_information: float
    ensemble_accuracy: float
    n_members: int
    n_duplicates: int
    n_examples: int

    def table(self) -> Table:
        """Return one row per measure."""
        names = [
            "disagreement",
            "normalised_disagreement",
            "kl",
            "cosine_similarity",
            "brier_diversity",
            "predictive_entropy",
            "expected_entropy",
            "mutual_information",
        ]
        names = [name for name in names if not np.isnan(getattr(self, name))]
        shown = [name.replace("_", " ").replace("kl", "KL divergence") for name in names]
        return Table({"measure": shown, "value": [getattr(self, name) for name in names]})

    def sentence(self) -> str:
        """Return the diversity in words."""
        copies = f" ({self.n_duplicates} exact copies excluded)" if self.n_duplicates else ""
        if self.n_members == 1:
            return f"One distinct member{copies}: there is nothing to differ from, so every diversity is 0."
        return (
            f"Two of the {self.n_members} distinct members{copies} disagree on {self.disagreement:.2%} of "
            f"{self.n_examples} examples on average ({self.normalised_disagreement:.2f} times the ensemble's error "
            f"rate){self._divergence()}. Diversity does not by itself make an ensemble better."
        )

    def _divergence(self) -> str:
        if np.isnan(self.kl):
            return "; predicted classes tell no more"
        return f", with KL divergence {self.kl:.4f} nats"


@opens("outputs")
@warns_of_seeds(pooled=False)
def diversity(
    outputs: Any,
    labels: Any = None,
    *,
    kl_pairs: str = "all",
    ignore_index: int | None = None,
    **reading: Unpack[ReadingOptions],
) -> Diversity:
    """Measure how much runs differ in their predictions, in one pass over the runs.

    Parameters
    ----------
    outputs : array_like, RunOutputs or study
        Logits or probabilities [runs, examples, classes]; predicted classes [runs, examples], of which there is only
        disagreement; a study, or a path.
    labels : array_like of int [examples] or path, optional
        True classes; taken from the source where it has them.
    kl_pairs : {"all", "i<j"}
        Pairs of the KL divergence; ``"i<j"`` is what the authors' code averages.
    ignore_index : int, optional
        Examples with this label are excluded.
    **reading
        Which `split` of a study is read, of what `kind` outputs are, and what `nan` in them means: see
        `ReadingOptions`.

    Returns
    -------
    Diversity
        Of the distinct members; all measures of a single one are 0 (and the cosine 1).

    References
    ----------
    Wenzel et al. (2020), arXiv 2006.13570, section 5; Fort et al. (2019), arXiv 1912.02757, for the disagreement.

    Examples
    --------
    >>> import numpy as np
    >>> import runspread as rs
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(200) % 4
    >>> logits = 2 * np.eye(4)[labels] + rng.normal(size=(8, 200, 4))  # [runs, examples, classes]
    >>> bool(rs.methods.ensembles.diversity(logits, labels).disagreement > 0)
    True
    """
    how = reading_of(reading, "diversity", ("kl_pairs", "ignore_index"))
    members = read_members(outputs, labels, **how, ignore_index=ignore_index)
    running = _Running(members, check_choice(kl_pairs, "kl_pairs", KL_PAIRS))
    for member in members:
        running.add(member)
    if not running.n:
        raise members.nothing_left()
    return running.finish()


def entropy(probabilities: Floats) -> Floats:
    """Return the entropy in nats along the last axis; ``0 log 0`` is 0."""
    return -_times_log(probabilities, probabilities).sum(axis=-1)


def _times_log(weights: Floats, probabilities: Floats) -> Floats:
    """Return ``weights * log(probabilities)``, 0 where the weight is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(weights > 0, weights * np.log(probabilities), 0.0)


class _Running:
    """Sums over members that give every mean over pairs without visiting the pairs."""

    def __init__(self, members: Members, kl_pairs: str) -> None:
        self.members, self.kl_pairs = members, kl_pairs
        shape = (len(members.labels), members.n_classes)
        self.n, self.seen = 0, set[bytes]()
        self.n_duplicates = 0
        self.votes = np.zeros(shape)  # members whose top-1 class this is
        self.total, self.total_unit = np.zeros(shape), np.zeros(shape)
        self.total_log = np.zeros(shape)
        self.negentropy = self.kl_forward = self.squares = 0.0

    def add(self, member: Member) -> None:
        digest = blake2b(np.ascontiguousarray(member.values).data, digest_size=16).digest()
        if digest in self.seen:
            self.n_duplicates += 1
            return
        self.seen.add(digest)
        p, log_p = member.probabilities, member.log_probabilities
        self.kl_forward += self.negentropy - _dot_log(self.total, log_p)
        self.negentropy += _dot_log(p, log_p)
        self.total += p
        self.total_log += log_p
        self.squares += float(np.einsum("mc,mc->", p, p))
        self.total_unit += p / np.linalg.norm(p, axis=1, keepdims=True)
        self.votes[np.arange(len(p)), member.top] += 1
        self.n += 1

    def _per_pair(self, sum_over_pairs: float, ordered: bool = False) -> float:
        pairs = self.n * (self.n - 1) * (1 if ordered else 0.5)
        return sum_over_pairs / pairs / len(self.total) if pairs else 0.0

    def _kl(self) -> float:
        if self.kl_pairs == "i<j":
            return self._per_pair(self.kl_forward)
        # The pairs i = j add nothing, so the double sum needs no exception for them.
        return self._per_pair(self.n * self.negentropy - _dot_log(self.total, self.total_log), ordered=True)

    def finish(self) -> Diversity:
        mean = self.total / self.n
        m, n = len(mean), self.n
        accuracy = float((top_class(mean) == self.members.labels).mean())
        disagreement = self._per_pair(float(m * n * (n - 1) / 2 - (self.votes * (self.votes - 1)).sum() / 2))
        cosines = self._per_pair((float(np.einsum("mc,mc->", self.total_unit, self.total_unit)) - m * n) / 2)
        predictive, expected = float(entropy(mean).mean()), -self.negentropy / (n * m)
        return self._without_likelihood(
            Diversity(
                disagreement=disagreement,
                normalised_disagreement=disagreement / (1 - accuracy + NORMALISER),
                kl=max(self._kl(), 0.0),
                kl_pairs=self.kl_pairs,
                cosine_similarity=cosines if n > 1 else 1.0,
                brier_diversity=max(self.squares / (n * m) - float(np.einsum("mc,mc->", mean, mean)) / m, 0.0),
                predictive_entropy=predictive,
                expected_entropy=expected,
                mutual_information=max(predictive - expected, 0.0),
                ensemble_accuracy=accuracy,
                n_members=n,
                n_duplicates=self.n_duplicates,
                n_examples=m,
                excluded=self.members.excluded(),
            )
        )

    def _without_likelihood(self, found: Diversity) -> Diversity:
        """Return the measures; of predicted classes only those that votes tell."""
        return replace(found, **dict.fromkeys(_OF_PROBABILITIES, float("nan"))) if self.members.votes else found


def _dot_log(weights: Floats, log_values: Floats) -> float:
    """Return ``sum weights * log_values`` where ``0 * -inf`` is 0."""
    if np.isfinite(log_values).all():
        return float(np.einsum("mc,mc->", weights, log_values))
    return float(np.where(weights > 0, weights * np.where(weights > 0, log_values, 0.0), 0.0).sum())
