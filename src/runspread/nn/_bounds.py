"""Log-uniform distributions of hyperparameters with learnable bounds, one per member and coordinate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .._checks import check_choice
from ..errors import InputError

ROLES = ("dropout", "l2", "l2_bias", "l2_kernel", "label_smoothing")
STARTS = ("decade", "full", "published")


@dataclass(frozen=True)
class Hyperparameter:
    """One coordinate that a hyper-batch ensemble tunes.

    Attributes
    ----------
    name : str
        How it is called in logs.
    low, high : float
        Allowed range, both above zero.
    role : {"l2", "l2_kernel", "l2_bias", "dropout", "label_smoothing"}
        What it does. ``"l2"`` is the coefficient of kernel and bias, times ``1 / reference`` of the ensemble.
    layers : tuple of str
        Patterns (``fnmatch``) of the module names that it acts on, in the network before conversion.
    """

    name: str
    low: float
    high: float
    role: str
    layers: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        check_choice(self.role, "role", ROLES)
        if not 0 < self.low < self.high < math.inf:
            raise InputError(f"got range {self.low} to {self.high} of {self.name}", "0 < low < high")
        if self.role in ("dropout", "label_smoothing") and self.high >= 1:
            raise InputError(f"got {self.role} up to {self.high}", "less than 1")


class LogUniformBounds(nn.Module):
    """Learnable bounds of ``members x coordinates`` log-uniform distributions.

    Parameters
    ----------
    low, high : sequence of float [coordinates]
        Allowed range of each coordinate.
    members : int
        Number of members.
    start : {"decade", "full", "published"}
        Where the bounds begin. ``"full"``: the allowed range. ``"decade"``: half-width 1.15 nats around the
        log-midpoint plus N(0, 0.5) for each member, which trains better on small data (the mean of a wide
        log-uniform lies near its top). ``"published"``: the authors' code, a narrow band of +-`width` around
        the mean of the full range, in the hyperparameters' own units.
    width : float
        Width of the ``"published"`` start.
    generator : torch.Generator, optional
        Source of the starting positions.
    dtype : torch.dtype
        Precision of the bounds.

    References
    ----------
    Wenzel et al. (2020), arXiv 2006.13570, section 4.2, and the authors' code.
    """

    log_low: Tensor
    log_high: Tensor

    def __init__(
        self,
        low: Sequence[float],
        high: Sequence[float],
        members: int,
        *,
        start: str = "decade",
        width: float = 0.2,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.register_buffer("log_low", torch.tensor(low, dtype=torch.float64).log().to(dtype))
        self.register_buffer("log_high", torch.tensor(high, dtype=torch.float64).log().to(dtype))
        check_choice(start, "start", STARTS)
        lower, upper = self._start(start, members, width, generator)
        self.log_lower, self.log_upper = nn.Parameter(lower), nn.Parameter(upper)
        self.project()

    def _start(
        self, start: str, members: int, width: float, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        shape = (members, len(self.log_low))
        if start == "full":
            return self.log_low.expand(shape).clone(), self.log_high.expand(shape).clone()
        noise = torch.randn(shape, generator=generator, dtype=self.log_low.dtype)
        if start == "decade":
            middle = (self.log_low + self.log_high) / 2 + 0.5 * noise
            return middle - 1.15, middle + 1.15
        low, high = self.log_low.exp(), self.log_high.exp()
        centre = ((high - low) / (self.log_high - self.log_low)).mean() + 0.1 * width * noise
        return (centre - width).clamp(min=1e-8).log(), (centre + width).clamp(min=1e-8).log()

    @property
    def members(self) -> int:
        """Number of members."""
        return len(self.log_lower)

    def sample(self, rows: int, *, generator: torch.Generator | None = None, u: Tensor | None = None) -> Tensor:
        """Draw hyperparameters [members, rows, coordinates], one for each member, row and coordinate.

        Parameters
        ----------
        rows : int
            Examples per member.
        generator : torch.Generator, optional
            Source of the draws.
        u : Tensor [members, rows, coordinates], optional
            Uniform numbers to use instead of drawing.
        """
        if u is None:
            shape = (self.members, rows, len(self.log_low))
            u = torch.rand(shape, generator=generator, dtype=self.log_lower.dtype).to(self.log_lower.device)
        lower, upper = self.log_lower[:, None], self.log_upper[:, None]
        return (lower + u * (upper - lower)).exp()

    def mean(self) -> Tensor:
        """Return the mean of each distribution [members, coordinates], which prediction uses.

        It is ``(upper - lower) / log(upper / lower)``, not the middle of the logarithms.
        """
        width = self.log_upper - self.log_lower
        return self.log_lower.exp() * torch.expm1(width) / width

    def entropies(self) -> Tensor:
        """Return the entropy of each distribution in nats [members, coordinates]."""
        return (self.log_lower + self.log_upper) / 2 + (self.log_upper - self.log_lower).log()

    def entropy(self) -> Tensor:
        """Return the mean entropy over members and coordinates, to which the published tau = 1e-3 belongs."""
        return self.entropies().mean()

    def normalise(self, values: Tensor) -> Tensor:
        """Return hyperparameters as the embeddings take them: 0 to 1 on the logarithm of the allowed range."""
        return (values.log() - self.log_low) / (self.log_high - self.log_low)

    @torch.no_grad()
    def project(self) -> None:
        """Put the bounds back into the allowed range, and in order; call it after every tuning step."""
        gap = 1e-6 * (self.log_high - self.log_low) / 2
        self.log_lower.clamp_(self.log_low, self.log_high - 2 * gap)
        self.log_upper.copy_(torch.maximum(torch.minimum(self.log_upper, self.log_high), self.log_lower + gap))

    def at_range_end(self) -> Tensor:
        """Return which distributions [members, coordinates] have their mean within 1 % of an end of the range."""
        place = self.normalise(self.mean())
        return (place < 0.01) | (place > 0.99)


def tuning_loss(logits: Tensor, labels: Tensor, entropy: Tensor | float, tau: float) -> Tensor:
    """Return ``-mean log(mean over members of p_y) - tau * entropy``: what the bounds minimise.

    Parameters
    ----------
    logits : Tensor [members, examples, classes]
        Outputs of the network in evaluation mode, on hard labels.
    labels : Tensor of int [examples]
        True classes.
    entropy : Tensor
        Mean entropy of the distributions.
    tau : float
        Weight of the entropy.

    Examples
    --------
    >>> import runspread as rs
    >>> import torch
    >>> logits, labels = torch.zeros(2, 3, 4), torch.tensor([0, 1, 2])  # members, examples, classes
    >>> float(rs.nn.tuning_loss(logits, labels, 0.0, 0.0)) > 1
    True
    """
    index = labels.expand(logits.shape[:2]).unsqueeze(-1)
    right = torch.log_softmax(logits, dim=-1).gather(-1, index).squeeze(-1)
    return math.log(len(logits)) - torch.logsumexp(right, dim=0).mean() - tau * entropy
