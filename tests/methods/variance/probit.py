"""The probit model of the specification: X = [U < Phi(alpha_i + beta z_r)], alpha ~ N(1.5, 1), z ~ N(0, 1)."""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import ndtr
from scipy.stats import multivariate_normal

MEAN, TAU = 1.5, 1.0


def population_variance(beta: float) -> float:
    """Return the true distribution-wise variance, Phi2(h, h; rho) - Phi(h)^2."""
    total = 1 + TAU**2 + beta**2
    h, rho = MEAN / math.sqrt(total), beta**2 / total
    both = multivariate_normal.cdf([h, h], cov=[[1, rho], [rho, 1]]) if beta else ndtr(h) ** 2
    return float(both - ndtr(h) ** 2)


def fixed_variance(alpha: np.ndarray, beta: float) -> float:
    """Return the mean over pairs i != j of Cov(X_i, X_j) for the examples `alpha` of one test set."""
    nodes, weights = hermegauss(60)
    weights = weights / weights.sum()
    p = ndtr(alpha[:, None] + beta * nodes)
    deviations = p - (p @ weights)[:, None]
    n = len(alpha)
    total = (deviations.sum(axis=0) ** 2) @ weights
    own = (np.square(deviations) @ weights).sum()
    return float((total - own) / (n * (n - 1)))


def draw(rng: np.random.Generator, runs: int, examples: int, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Return correctness [runs, examples] and the difficulty of the examples."""
    alpha = rng.normal(MEAN, TAU, examples)
    z = rng.normal(size=(runs, 1))
    return rng.random((runs, examples)) < ndtr(alpha + beta * z), alpha


def draw_pair(rng: np.random.Generator, runs: tuple[int, int], examples: int, beta: float, tau: float) -> tuple:
    """Return correctness of two equally good configurations whose difficulties differ by N(0, tau^2)."""
    alpha = rng.normal(MEAN, TAU, examples)
    shift = rng.normal(0, tau, (2, examples))
    return tuple(
        rng.random((count, examples)) < ndtr(alpha + own + beta * rng.normal(size=(count, 1)))
        for count, own in zip(runs, shift, strict=True)
    )


def draw_pair_of_seeds(
    rng: np.random.Generator, runs: int, examples: int, beta: float, tau: float, *, shared: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return correctness as `draw_pair` does, of runs whose z have the correlation `shared` over seeds."""
    alpha = rng.normal(MEAN, TAU, examples)
    common, own = rng.normal(size=(runs, 1)), rng.normal(size=(2, runs, 1))
    z = math.sqrt(shared) * common + math.sqrt(1 - shared) * own
    p = ndtr(alpha + rng.normal(0, tau, (2, 1, examples)) + beta * z)
    first, second = rng.random(p.shape) < p
    return first, second


def draw_clustered(
    rng: np.random.Generator, runs: int, sizes: np.ndarray, beta: float, gamma: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return correctness, difficulties and clusters of examples; half the variance of difficulty is between clusters.

    A run's `z` moves every example by `beta`, and a draw of its own for each cluster moves that by `gamma`: errors are
    shared inside a cluster.
    """
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    own = rng.normal(size=(2, len(clusters)))
    alpha = MEAN + TAU * (rng.normal(size=len(sizes))[clusters] + own[0]) / math.sqrt(2)
    shift = beta * rng.normal(size=(runs, 1)) + gamma * rng.normal(size=(runs, len(sizes)))[:, clusters]
    return rng.random((runs, len(clusters))) < ndtr(alpha + shift), alpha, clusters


def clustered_variance(beta: float, gamma: float) -> float:
    """Return the true distribution-wise variance where clusters respond to the run by `gamma`."""
    total = 1 + TAU**2 + beta**2 + gamma**2
    h, rho = MEAN / math.sqrt(total), beta**2 / total
    both = multivariate_normal.cdf([h, h], cov=[[1, rho], [rho, 1]]) if beta else ndtr(h) ** 2
    return float(both - ndtr(h) ** 2)


def fixed_clustered_variance(alpha: np.ndarray, clusters: np.ndarray, beta: float, gamma: float) -> float:
    """Return the mean over pairs in different clusters of Cov(X_i, X_j) for the examples of one test set."""
    nodes, weights = hermegauss(60)
    weights = weights / weights.sum()
    p = ndtr((alpha[:, None] + beta * nodes) / math.sqrt(1 + gamma**2))
    deviations = p - (p @ weights)[:, None]
    inside = np.zeros((clusters.max() + 1, len(nodes)))
    np.add.at(inside, clusters, deviations)
    total = (deviations.sum(axis=0) ** 2) @ weights - (np.square(inside) @ weights).sum()
    return float(total / (len(alpha) ** 2 - np.square(np.bincount(clusters)).sum()))
