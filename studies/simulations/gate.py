"""Hill climbs and their certificates.

Campaigns have 100 tries; outcomes are losses in standard deviations of one run. Laws: t is Student's with 3 degrees;
failing has one run in twenty that gives no outcome; skewed is exponential; in unequal the spread of each state is
lognormal (0.5). Half harm: half of the tries that do not help are worse (exponential, mean 2). Repeated: seven tries in
ten are changes that were tried before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from runspread.methods.gate import (
    Look,
    Sides,
    certificate_looks,
    confirmation_level,
    decide,
    judge_sides,
    permutation_p,
    stand_in,
)
from runspread.methods.gate.climbing import RUNS
from simulations.promises import Promise, promise

LAWS = ("normal", "t", "failing", "skewed", "unequal")
FIVE = (0.0, 0.05)
TRIES = 100


def promises(scale: float) -> Iterator[Promise]:
    """Yield the rows of this family; `scale` multiplies the number of campaigns."""
    yield from false_certificates(max(100, round(2000 * scale)))
    yield from real_gains(max(50, round(1000 * scale)))
    yield from strict_keeps(max(50, round(600 * scale)))
    yield from bounds(max(200, round(4000 * scale)))


@dataclass
class World:
    """Where runs come from: a law, and the true mean and spread of every state.

    Attributes
    ----------
    helps, by : float
        Share of tries that help, and by how much.
    harm, repeat : float
        Share of the others that harm; share of tries that repeat an earlier change.
    """

    rng: np.random.Generator
    law: str = "normal"
    helps: float = 0.0
    by: float = 0.0
    harm: float = 0.0
    repeat: float = 0.0
    changes: list[float] = field(default_factory=list)

    def spread(self) -> float:
        """Return the spread of runs of a new state."""
        return float(self.rng.lognormal(0, 0.5)) if self.law == "unequal" else 1.0

    def runs(self, mean: float, spread: float, n: int) -> np.ndarray:
        """Return outcomes of `n` runs, NaN where a run failed."""
        rng = self.rng
        if self.law == "t":
            raw = rng.standard_t(3, n) / math.sqrt(3)
        elif self.law == "skewed":
            raw = rng.exponential(size=n) - 1
        else:
            raw = rng.normal(size=n)
        if self.law == "failing":
            raw = np.where(rng.random(n) < 0.05, math.nan, raw)
        return mean + spread * raw

    def change(self) -> float:
        """Return what the next try does to the mean."""
        if self.changes and self.rng.random() < self.repeat:
            return self.changes[self.rng.integers(len(self.changes))]
        draw, other = self.rng.random(), self.rng.random()
        made = -self.by if draw < self.helps else float(self.rng.exponential(2)) if other < self.harm else 0.0
        self.changes.append(made)
        return made


@dataclass
class Climb:
    """The end of a climb: true means and spreads of start and end, runs and their outcomes, what was kept."""

    start: tuple[float, float]
    end: tuple[float, float]
    runs: int
    losses: list[float]
    false_keep: bool = False
    keeps: int = 1

    @property
    def gain(self) -> float:
        """True gain."""
        return self.start[0] - self.end[0]


def climb(world: World, rule: str = "two", tries: int = TRIES, alpha: float = 0.05) -> Climb:
    """Climb by a rule."""
    needed = RUNS[rule]
    start = kept = (0.0, world.spread())
    first = finite(world, kept, needed)
    losses, runs, bar, wealth, wrong, keeps = first.tolist(), needed, float(first.mean()), alpha, False, 0
    for _ in range(tries):
        state = (kept[0] + world.change(), world.spread())
        outcomes = list[float]()
        slack, verdict = (1.0 if rule == "strict" else 0.0), "run again"
        while verdict == "run again":
            value = float(world.runs(*state, 1)[0])
            outcomes.append(value if math.isfinite(value) else math.inf)
            verdict = decide(outcomes, bar, rule, slack=slack)
        runs += len(outcomes)
        losses += outcomes
        if verdict == "confirm":
            level, fresh = confirmation_level(wealth), [world.runs(*one, 8) for one in (kept, state)]
            runs += 16
            losses += [x for side in fresh for x in side]
            look, failed_as = Look(8, level), stand_in(np.array(losses, dtype=float), 1.0)
            found = judge_sides(Sides(*fresh), look, failed_as, last=True)
            verdict = "keep" if found.verdict == "certified" else "drop"
            wealth -= 0.0 if verdict == "keep" else level
            mean = float(np.nanmean(fresh[verdict == "keep"]))
            bar = mean
        elif verdict == "keep":
            bar = float(np.mean([x for x in outcomes if math.isfinite(x)]))
        if verdict == "keep":
            wrong |= state[0] >= kept[0]
            kept, keeps = state, keeps + 1
    return Climb(start, kept, runs, losses, wrong, keeps)


def finite(world: World, state: tuple[float, float], n: int) -> np.ndarray:
    """Return `n` runs that finished."""
    values = world.runs(*state, 3 * n + 8)
    return values[np.isfinite(values)][:n]


@dataclass
class Certified:
    """How a certificate ended, and what it says."""

    verdict: str
    runs: int
    low: float
    gain: float
    first_gain: float


def certify(world: World, found: Climb, looks: tuple[Look, ...] | None = None) -> Certified:
    """Certify the end of a climb against its start on fresh runs."""
    looks = looks or certificate_looks(0.05)
    if not found.keeps:
        return Certified("nothing kept", 0, math.nan, math.nan, math.nan)
    most = looks[-1].runs
    sides = Sides(world.runs(*found.start, most), world.runs(*found.end, most))
    for at, look in enumerate(looks):
        taken = sides.first(look.runs)
        failed_as = stand_in(np.array([*found.losses, *taken.start, *taken.end], dtype=float), 1.0)
        verdict = judge_sides(sides, look, failed_as, last=at == len(looks) - 1).verdict
        if verdict != "go on":
            break
    one, first = taken.gain(look.level), sides.first(looks[0].runs).gain(looks[0].level)
    return Certified(verdict, 2 * look.runs, one.low, one.gain, first.gain)


def false_certificates(campaigns: int) -> Iterator[Promise]:
    """Certify in at most 5 % of campaigns an end that is no better than the start."""
    what = "a campaign ends with a false certificate"
    cells = [("nothing helps", {}, 1.0), ("nothing helps, half harm, repeated", {"harm": 0.5, "repeat": 0.7}, 0.5)]
    cells += [("one in ten helps by 1, half harm", {"helps": 0.1, "by": 1.0, "harm": 0.5}, 0.25)]
    cells += [("two in a hundred help by 2, half harm", {"helps": 0.02, "by": 2.0, "harm": 0.5}, 0.25)]
    for number, (name, settings, share) in enumerate(cells):
        for at, law in enumerate(LAWS):
            rng, hits = np.random.default_rng([60, number, at]), []
            for _ in range(max(50, round(share * campaigns))):
                world = World(rng, law, **settings)
                found = climb(world)
                hits.append(found.gain <= 0 and certify(world, found).verdict == "certified")
            yield promise(what, f"{name}, {law}", FIVE, hits)


def real_gains(campaigns: int) -> Iterator[Promise]:
    """Certify nearly every campaign whose end is better, where one try in ten helps by 2."""
    for at, law in enumerate(LAWS):
        rng, hits = np.random.default_rng([61, at]), []
        for _ in range(campaigns):
            world = World(rng, law, helps=0.1, by=2.0, harm=0.5)
            found = climb(world)
            if found.gain > 0:
                hits.append(certify(world, found).verdict == "certified")
        least = 0.95 if law == "unequal" else 0.98
        setting = f"one in ten helps by 2, half harm, {law}"
        yield promise("an end that is better than the start is certified", setting, (least, 1.0), hits)


def strict_keeps(campaigns: int) -> Iterator[Promise]:
    """Keep anything false in at most 5 % of campaigns under the rule strict."""
    cells = [("nothing helps", {}), ("one in ten helps by 2, half harm", {"helps": 0.1, "by": 2.0, "harm": 0.5})]
    for number, (name, settings) in enumerate(cells):
        for at, law in enumerate(("normal", "t", "failing")):
            rng = np.random.default_rng([62, number, at])
            hits = [climb(World(rng, law, **settings), "strict").false_keep for _ in range(campaigns)]
            yield promise("a campaign keeps anything false, rule strict", f"{name}, {law}", FIVE, hits)


def bounds(sets: int) -> Iterator[Promise]:
    """Bound the gain from below; err in at most 5 % of single certificates at equal laws."""
    for number, (gain, law) in enumerate([(g, "normal") for g in (0.0, 0.5, 1.0, 2.0)] + [(1.0, "t"), (1.0, "skewed")]):
        rng, kept = np.random.default_rng([63, number]), []
        for _ in range(sets):
            world = World(rng, law)
            one = certify(world, Climb((0.0, 1.0), (-gain, 1.0 + 1e-12), 0, []))
            kept.append(one.low <= gain)
        setting, assumed = f"gain of {gain:g} sd, {law}", law == "normal"
        yield promise("the lower bound of the gain lies below it", setting, (0.95, 1.0), kept, assumed=assumed)
    for number, (n, ratio) in enumerate([(5, 1.0), (10, 1.0), (5, 3.0), (10, 3.0)]):
        rng = np.random.default_rng([64, number])
        hits = [permutation_p(rng.normal(size=n), ratio * rng.normal(size=n)) <= 0.05 for _ in range(sets)]
        setting = f"{n} and {n} runs{'' if ratio == 1 else ', spread of the end 3 times as much'}"
        yield promise("the permutation test errs at equal means", setting, FIVE, hits, assumed=ratio == 1)
