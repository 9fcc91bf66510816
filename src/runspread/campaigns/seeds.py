"""Seeds of a campaign: each is handed out once, and those of certificates come from a stream of their own."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from pathlib import Path

from ..errors import InputError

CLIMB, FRESH = "climb", "certificate"  # streams


class SeedToRun(int):
    """A seed that was handed out, with the state to run it on and what it is for.

    Attributes
    ----------
    state : str
        The state to train.
    role : str
        baseline, try, second, confirm or certificate.
    """

    state: str
    role: str

    def __new__(cls, seed: int, state: str, role: str) -> SeedToRun:
        """Return the seed as a whole number that knows its state."""
        made = super().__new__(cls, seed)
        made.state, made.role = state, role
        return made


def drawn_seed(campaign: str, stream: str, counter: int) -> int:
    """Return a seed of 31 bits; campaigns, streams and counters that differ give others, but for chance."""
    digest = blake2b(f"{campaign}/{stream}/{counter}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 33


def next_seed(campaign: str, stream: str, counter: int, used: Collection[int], file: str = "") -> tuple[int, int]:
    """Return the next seed that was not handed out, and the counter after it.

    Parameters
    ----------
    campaign, stream : str
        What the seeds belong to.
    counter : int
        How many of the stream were tried so far; of seeds from a file: of the file.
    used : collection of int
        Seeds that were handed out, or that a run has said it had.
    file : str
        A file with one seed a line, instead.
    """
    own = _listed(file) if file else None
    while own is None or counter < len(own):
        seed = drawn_seed(campaign, stream, counter) if own is None else own[counter]
        counter += 1
        if seed not in used:
            return seed, counter
    raise InputError(f"the {len(own)} seeds of {file} are used up", "seeds that no run has had", "Append more to it.")


def _listed(file: str) -> list[int]:
    try:
        return [int(word) for word in Path(file).read_text().split()]
    except (OSError, ValueError) as error:
        raise InputError(f"the seeds in {file} cannot be read: {error}", "one whole number a line") from error
