"""Weight spectra beside WeightWatcher 0.7.7 and powerlaw 1.5, in one process: the same numbers, and how long they take.

Every pair is timed in turns and the minimum of the repeats counts. WeightWatcher is timed with one BLAS thread and with
all of them, and its better time counts. The model is that of the method's notes: dense 512 x 512, 1024 x 1024,
2048 x 1024 and a convolution 256 x 256 x 3 x 3, trained weights imitated by heavy-tailed columns.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import runspread as rs
from runspread.methods.spectra import fit_marchenko_pastur, fit_power_law, spectrum


def fastest(
    functions: dict[str, Callable[[], Any]], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return the shortest time of each function in seconds; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = clock()
            function()
            times[name].append(clock() - start)
    return {name: min(values) for name, values in times.items()}


def silently(function: Callable[[], Any]) -> Callable[[], Any]:
    def call() -> Any:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return function()

    return call


def model() -> Any:
    import torch

    torch.manual_seed(0)
    layers = [torch.nn.Linear(512, 512), torch.nn.Linear(1024, 1024), torch.nn.Linear(1024, 2048),
              torch.nn.Conv2d(256, 256, 3)]  # fmt: skip
    with torch.no_grad():
        for layer in layers:
            columns = torch.arange(1, layer.weight.shape[1] + 1) ** -0.3
            layer.weight *= columns.reshape(1, -1, *[1] * (layer.weight.ndim - 2))
    return torch.nn.Sequential(*layers)


def row(what: str, ours: float, theirs: float, required: float | None) -> None:
    ratio = theirs / ours
    wanted = "" if required is None else f"{required:g}x  {'met' if ratio >= required else 'NOT MET'}"
    print(f"{what:<58}{1e3 * ours:>11.2f}{1e3 * theirs:>13.2f}{ratio:>9.1f}   {wanted}")


def same(what: str, ours: Any, theirs: Any) -> None:
    difference = np.max(np.abs(np.asarray(ours, float) - np.asarray(theirs, float)) / np.maximum(np.abs(theirs), 1e-12))
    print(f"{what:<58}largest relative difference {difference:.1e}")


def spectrum_of(n: int, rng: np.random.Generator) -> np.ndarray:
    if n == 2304:
        kernel = rng.normal(size=(256, 256, 3, 3)) * np.arange(1, 257).reshape(1, -1, 1, 1) ** -0.3
        return spectrum(kernel).eigenvalues
    return spectrum(rng.normal(size=(2 * n, n)) * np.arange(1, n + 1) ** -0.3).eigenvalues


def compare_fits(ww_fit: Any, powerlaw: Any) -> None:
    rng = np.random.default_rng(0)
    for n, required in ((512, None), (1024, None), (2304, 10)):
        values = spectrum_of(n, rng)
        times = fastest(
            {
                "ours": lambda values=values: fit_power_law(values, min_tail=2),
                "theirs": silently(lambda values=values: ww_fit(values)),
            },
            7,
        )
        row(f"power-law fit, {n} eigenvalues (WeightWatcher)", times["ours"], times["theirs"], required)
        ours, theirs = fit_power_law(values, min_tail=2), silently(lambda values=values: ww_fit(values))()
        same("  alpha, D, xmin", [ours.alpha, ours.D, ours.xmin], [theirs.alpha, theirs.D, theirs.xmin])
    values = spectrum_of(512, rng)
    peer = silently(lambda: powerlaw.Fit(values, verbose=False))
    times = fastest({"ours": lambda: fit_power_law(values, min_tail=2), "theirs": peer}, 5)
    row("power-law fit, 512 eigenvalues (powerlaw 1.5)", times["ours"], times["theirs"], None)
    same("  alpha", fit_power_law(values, min_tail=2).alpha, peer().alpha)
    peer = silently(lambda: powerlaw.Fit(values, xmax=values.max(), verbose=False))
    ours = {"ours": lambda: fit_power_law(values, min_tail=2, xmax="max"), "theirs": peer}
    times = fastest(ours, 2)
    row("  the same with xmax, the setting of 2021", times["ours"], times["theirs"], None)
    same("  alpha", fit_power_law(values, min_tail=2, xmax="max").alpha, peer().alpha)
    start = time.perf_counter()
    fit_power_law(values, bootstrap=200, seed=0)
    print(
        f"{'bootstrap of the fit, 200 samples, n = 512':<58}{1e3 * (time.perf_counter() - start):>11.2f}   not offered"
    )


def compare_bulks(ww_density: Any) -> None:
    rng = np.random.default_rng(1)
    for n, m in ((512, 256), (1024, 1024)):
        values = spectrum(rng.normal(size=(n, m))).eigenvalues
        scaled = values * len(values) / values.sum()
        times = fastest(
            {
                "ours": lambda v=values, n=n, m=m: fit_marchenko_pastur(v, n, m),
                "theirs": silently(lambda s=scaled, n=n, m=m: ww_density(s, n / m)),
            },
            3,
        )
        row(f"Marchenko-Pastur fit, {n} x {m}", times["ours"], times["theirs"], 20)
        theirs = silently(lambda s=scaled, n=n, m=m: ww_density(s, n / m))()[0]
        same("  sigma", fit_marchenko_pastur(values, n, m).sigma, theirs)


def compare_models(weightwatcher: Any, limits: Any) -> None:
    net = model()
    import torch

    all_threads = torch.get_num_threads()

    def peer(threads: int, **options: Any) -> Callable[[], Any]:
        def call() -> Any:
            with limits(threads):
                return weightwatcher.WeightWatcher(model=net).analyze(plot=False, **options)

        return silently(call)

    for what, ours, options, repeats, required in (
        ("default analysis", {}, {}, 5, 3),
        # one shuffle gives every column that WeightWatcher takes from two
        ("with randomize and mp_fit", {"n_shuffles": 1, "mp_fit": True}, {"randomize": True, "mp_fit": True}, 1, 10),
    ):
        times = fastest(
            {
                "ours": lambda ours=ours: rs.spectra(net, **ours),
                "one": peer(1, **options),
                "all": peer(all_threads, **options),
            },
            repeats,
        )
        row(f"{what}, WeightWatcher on 1 thread", times["ours"], times["one"], None)
        row(f"{what}, on {all_threads} threads", times["ours"], times["all"], None)
        row(f"{what}, its better time", times["ours"], min(times["one"], times["all"]), required)
        alone = {"ours": lambda ours=ours: rs.spectra(net, workers=1, **ours), "one": peer(1, **options)}
        times = fastest(alone, min(2, repeats), time.process_time)
        row(f"{what}, one worker and thread: processor time", times["ours"], times["one"], None)
    details = peer(1)()
    parity = rs.spectra(net, parity="weightwatcher")
    layers = [layer for layer in parity.layers if layer.metrics]
    columns = {"alpha": "alpha", "D": "D", "xmin": "xmin", "lambda_max": "spectral_norm", "log_norm": "log_norm",
               "alpha_weighted": "alpha_weighted", "log_alpha_norm": "log_alpha_norm", "stable_rank": "stable_rank",
               "entropy": "entropy", "num_pl_spikes": "num_pl_spikes"}  # fmt: skip
    print()
    for theirs, ours in columns.items():
        same(f"parity mode, {theirs} of {len(layers)} layers", [layer[ours] for layer in layers], details[theirs])


def main() -> None:
    try:
        import powerlaw
        import threadpoolctl
        import torch  # noqa: F401
        import weightwatcher
        from weightwatcher.RMT_Util import fit_density_with_range
        from weightwatcher.WW_powerlaw import WWFit
    except ImportError as error:
        sys.exit(f"{error}. The peers are installed by: pip install 'runspread[bench,train]'")
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")  # of the peers
    versions = f"weightwatcher {weightwatcher.__version__}, powerlaw {powerlaw.__version__}"
    print(f"{versions}; milliseconds of wall clock, the minimum of repeats in turns\n")
    print(f"{'':<58}{'runspread':>11}{'peer':>13}{'ratio':>9}   required")
    with threadpoolctl.threadpool_limits(1):
        compare_fits(WWFit, powerlaw)
        compare_bulks(fit_density_with_range)
    compare_models(weightwatcher, threadpoolctl.threadpool_limits)


if __name__ == "__main__":
    main()
