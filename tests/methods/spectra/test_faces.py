"""Plots, commands and the report's section."""

from __future__ import annotations

import json

import matplotlib as mpl
import numpy as np
import pytest
import safetensors.numpy
from click.testing import CliRunner
from matplotlib import pyplot as plt

import runspread as rs
from runspread._cli import cli
from runspread._report.spectra import spectra as section
from runspread.errors import InputError
from runspread.methods.spectra import fit_marchenko_pastur, layer_metrics, spectrum, study_spectra, svd_smoothing
from runspread.plots import plot_partition_map, plot_shuffled, plot_xmin_profile

mpl.use("Agg")
RNG = np.random.default_rng(0)
HEAVY = (RNG.normal(size=(120, 80)) @ np.diag(np.arange(1, 81) ** -0.6)).astype(np.float32)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def layer():
    return layer_metrics(HEAVY, name="fc", n_shuffles=1)


@pytest.fixture
def study(tmp_path):
    made = rs.create_study(tmp_path / "s", splits={"test": np.arange(12) % 3})
    rng = np.random.default_rng(1)
    for seed in range(8):
        with made.record(seeds=seed, hyperparameters={"width": 60 + 10 * (seed % 2)}) as run:
            run.predictions("test", rng.normal(size=(12, 3)))
            for step in (5, None):
                run.weights({"fc.weight": rng.normal(size=(90, 60 + 10 * (seed % 2))).astype(np.float32)}, step)
    return made


def text_of(ax):
    legend = [] if ax.get_legend() is None else [t.get_text() for t in ax.get_legend().get_texts()]
    return " ".join([ax.get_xlabel(), ax.get_ylabel(), *legend, *(t.get_text() for t in ax.texts)])


def test_the_line_of_a_power_law_has_its_slope(layer):
    ax = layer.plot()
    (line,) = [line for line in ax.lines if "α" in str(line.get_label())]
    x, y = np.log(line.get_data())
    assert (y[-1] - y[0]) / (x[-1] - x[0]) == pytest.approx(-layer["alpha"])
    assert f"{layer['alpha']:.2f}" in text_of(ax)


def test_the_profile_marks_the_minimum(layer):
    ax = plot_xmin_profile(layer.fit)
    curve, mark = ax.lines[:2]
    assert np.min(curve.get_ydata()) == mark.get_ydata()[0] == layer.fit.D


def test_the_bulk_marks_its_spikes():
    weight = RNG.normal(size=(200, 100)) + np.outer(RNG.normal(size=200), RNG.normal(size=100))
    fit = fit_marchenko_pastur(spectrum(weight).eigenvalues, 200, 100)
    assert fit.num_spikes == 1
    assert "1 more spike," in text_of(fit.plot())


def test_the_shuffled_spectrum_needs_a_shuffle(layer):
    ax = plot_shuffled(layer)
    assert len(ax.lines[0].get_xdata()) == len(ax.lines[1].get_xdata()) == 80
    with pytest.raises(InputError, match="n_shuffles"):
        plot_shuffled(layer_metrics(HEAVY))


def test_plots_of_models_and_studies(study):
    model = rs.spectra({"a.weight": HEAVY, "embed.weight": HEAVY.copy(), "b": np.ones(3)})
    ax = model.plot()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["a.weight", "embed.weight"]
    assert "not averaged" in text_of(ax)
    with pytest.raises(InputError, match="no layer"):
        rs.spectra({"a": np.ones((3, 3))}).plot()
    over = study_spectra(study, steps="all")
    assert [tick.get_text() for tick in over.plot().get_xticklabels()] == ["5", "end"]
    assert "seed sd" in text_of(rs.spectra(study).plot())
    assert "the end minus step 5" in text_of(over.difference("alpha", 5, None).plot())
    assert spectrum(HEAVY).plot().get_xscale() == "log"


def test_plot_of_smoothing():
    result = svd_smoothing({"w": HEAVY[None].repeat(3, 0)}, lambda w: np.full(3, 0.5), stacked=True)
    assert [t.get_text() for t in result.plot().get_xticklabels()] == ["10%", "20%", "40%", "unchanged"]


def corpus():
    depth = np.repeat([1, 2, 4], 10)
    rng = np.random.default_rng(0)
    x = rng.normal(size=30)
    return {"depth": depth, "test_accuracy": 3 * depth - x + 0.1 * rng.normal(size=30), "a": x + 2 * depth, "b": x}


def test_simpson_plot_has_a_line_a_partition_and_one_for_all():
    analysis = rs.paradox(corpus(), n_resamples=50)
    ax = analysis["a"].plot()
    lines = [line for line in ax.lines if len(line.get_xdata()) == 2]
    slopes = [np.diff(line.get_ydata())[0] / np.diff(line.get_xdata())[0] for line in lines]
    assert slopes[:3] == pytest.approx([part.slope for part in analysis["a"].partitions.values()])
    assert slopes[3] == pytest.approx(analysis["a"].overall.slope)
    assert [t.get_text() for t in analysis.plot().get_yticklabels()] == ["a", "b"]
    written = [t.get_text() for t in plot_partition_map(analysis).texts]
    assert f"{analysis['b'].split.tau_within:+.2f}" in written


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


def test_spectra_of_a_checkpoint(tmp_path):
    safetensors.numpy.save_file({"fc.weight": HEAVY, "fc.bias": np.ones(3, np.float32)}, tmp_path / "m.safetensors")
    out = run("spectra", tmp_path, "--mp", "--shuffles", "1")
    assert out.exit_code == 0
    assert "fc.weight" in out.output
    assert "rand_distance" in out.output
    assert "fc.bias" not in out.output
    assert "fc.bias" in run("spectra", tmp_path, "--all").output
    decoded = json.loads(run("spectra", tmp_path / "m.safetensors", "--json").output)
    assert decoded["means"]["alpha"] == pytest.approx(layer_metrics(HEAVY)["alpha"])
    assert run("spectra", tmp_path / "none").exit_code == 2


def test_spectra_of_a_torch_checkpoint(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"fc.weight": torch.from_numpy(HEAVY)}, tmp_path / "m.pt")
    refused = run("spectra", tmp_path / "m.pt")
    assert refused.exit_code == 2
    assert "unpickled" in refused.output
    assert run("spectra", tmp_path / "m.pt", "--torch", "--parity", "weightwatcher").exit_code == 0
    assert run("spectra", tmp_path / "m.pt", "--torch", "--device", "cpu").exit_code == 0


def test_spectra_says_why_there_are_none(tmp_path):
    safetensors.numpy.save_file({"q.weight": np.ones((60, 60), np.int8), "b": np.ones(3)}, tmp_path / "m.safetensors")
    out = run("spectra", tmp_path / "m.safetensors")
    assert out.exit_code == 2
    assert "(1 not a matrix, 1 quantised excluded)" in out.output
    safetensors.numpy.save_file({"w": HEAVY[:30, :30].copy()}, tmp_path / "m.safetensors")
    out = run("spectra", tmp_path / "m.safetensors")  # too small to average, but there is a layer to show
    assert out.exit_code == 0
    assert "1 fewer than 50 eigenvalues excluded" in out.output
    made = rs.create_study(tmp_path / "s", splits={"test": np.arange(4)})
    for seed in range(3):
        with made.record(seeds=seed) as recorded:
            recorded.predictions("test", np.eye(4))
            recorded.weights({"w": HEAVY[:30, :30], "b": np.ones(3)})
    for command in ("spectra", "paradox"):
        out = run(command, made.path)
        assert out.exit_code == 2
        assert "(3 not a matrix, 3 fewer than 50 eigenvalues excluded)" in out.output
        assert "min_evals=20" in out.output
    assert run("spectra", made.path, "--run", made.runs[0].id).exit_code == 0


@pytest.mark.parametrize("words", [("--shuffles", -1), ("--bootstrap", -5), ("--device", "abacus"), ("--step", 3)])
def test_spectra_refuses_what_it_cannot_do(study, words):
    out = run("spectra", study.path, *words)
    assert out.exit_code == 2
    assert "Expected one of: step 5, the end" in out.output or "--step" not in words


def test_spectra_of_a_study(study):
    assert "alpha" in run("spectra", study.path).output
    assert "step 5" in run("spectra", study.path, "--step", 5).output
    assert "fc.weight" in run("spectra", study.path, "--run", study.runs[0].id).output


def test_whether_checkpoints_differ_by_more_than_seeds(tmp_path, study):
    found = study_spectra(study, steps="all")
    out = run("spectra", study.path, "--between", 5, "end", "--metric", "stable_rank", "--json")
    expected = found.difference("stable_rank", 5, None)
    assert json.loads(out.output)["p_value"] == pytest.approx(expected.p_value)
    assert run("spectra", study.path, "--between", "5", "last").exit_code == 2
    for name in ("a", "b"):
        safetensors.numpy.save_file({"fc.weight": HEAVY * (1 if name == "a" else 3)}, tmp_path / f"{name}.safetensors")
    models = [tmp_path / f"{name}.safetensors" for name in ("a", "b")]
    out = run("spectra", *models, "--noise", study.path, "--metric", "log_spectral_norm")
    assert out.exit_code == 0
    assert f"differs by {np.log10(9):.3g} from a.safetensors" in " ".join(out.output.split())
    out = run("spectra", *models, "--noise", study.path)
    assert "not shown to be more than seed noise" in " ".join(out.output.split())
    assert run("spectra", *models).exit_code == 2
    assert run("spectra", models[0], "--between", 5, "end").exit_code == 2
    assert run("spectra", models[0], "--noise", study.path).exit_code == 2


def test_paradox_of_a_table_and_of_studies(tmp_path, study):
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame(corpus()).to_csv(tmp_path / "t.csv", index=False)
    out = run("paradox", tmp_path / "t.csv", "--resamples", 200)
    assert out.exit_code == 0
    assert "reversal" in out.output
    out = run("paradox", study.path, "--by", "width", "--metric", "alpha", "--resamples", 20, "--json")
    assert json.loads(out.output)["analyses"][0]["metric"] == "alpha"
    kept = run(
        "paradox", study.path, "--by", "width", "--metric", "alpha", "--resamples", 20, "--save", tmp_path / "c.csv"
    )
    assert kept.exit_code == 0
    again = run("paradox", tmp_path / "c.csv", "--by", "width", "--metric", "alpha", "--resamples", 20, "--json")
    assert json.loads(again.output)["analyses"] == json.loads(out.output)["analyses"]
    assert run("paradox", tmp_path / "t.csv", "--measures").exit_code == 2
    assert run("paradox", study.path, "--worst-case").exit_code == 2
    assert run("paradox", study.path, "--measures").exit_code == 2  # no recipe
    assert run("paradox", tmp_path / "t.csv", study.path).exit_code == 2
    assert run("paradox", tmp_path / "t.csv", "--by", "nothing").exit_code == 2


def test_section_of_the_report(study, tmp_path):
    found = section(study)
    assert len(found.figures) == 3
    assert "exponent" in found.lead
    assert len(found.tables) == 1
    bare = rs.create_study(tmp_path / "bare", splits={"test": np.arange(4)})
    with bare.record(seeds=1) as recorded:
        recorded.predictions("test", np.eye(4))
    assert section(bare) is None
    small = rs.create_study(tmp_path / "small", splits={"test": np.arange(4)})
    with small.record(seeds=1) as recorded:
        recorded.weights({"w": np.ones((4, 4))})
    assert section(small).figures == ()
    assert "None of 1 runs" in section(small).lead


def test_section_judges_metrics_where_depths_differ(tmp_path):
    made = rs.create_study(tmp_path / "s", splits={"test": np.arange(20) % 4})
    rng = np.random.default_rng(0)
    for seed in range(14):
        with made.record(seeds=seed, hyperparameters={"layers": 1 + seed % 2}) as recorded:
            recorded.predictions("test", rng.normal(size=(20, 4)))
            weights = {f"{k}.weight": rng.normal(size=(70, 60)).astype("f4") for k in range(1 + seed % 2)}
            recorded.weights(weights)
    found = section(made)
    assert len(found.figures) == 4
    assert "inside depth" in found.lead
    assert found.tables[1]["metric"][0] == "log_norm"
    assert "No two runs" not in found.lead
