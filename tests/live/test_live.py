"""Recording while something else trains: with the real libraries where they are installed, else with their shape."""

from __future__ import annotations

import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import runspread as rs
from runspread.errors import DuplicateRunError

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 4)).astype("f4")
    return x, (x[:, 0] > 0).astype(np.int64)


def weights(seed):
    return {"fc.weight": np.random.default_rng(seed).normal(size=(2, 4)).astype("f4")}


class Linear(dict):
    """A model of arrays."""

    def __call__(self, x):
        return x @ self["fc.weight"].T


# ------------------------------------------------------------------ a loop of one's own


def test_a_loop_is_followed(tmp_path, data):
    for seed in range(5):
        with rs.live.follow(tmp_path / "s", seeds=seed, hyperparameters={"lr": 0.1}, predictions={"test": data}) as run:
            for step in range(12):
                run.log(step, {"loss": 1 / (step + 1), "note": "text"})
                run.model(step, weights(seed + step))
            run.end(Linear(weights(seed)))
    study = rs.open_study(tmp_path / "s")
    assert len(study.runs) == 5
    assert {run.status for run in study.runs} == {"completed"}
    assert study.runs[0].seeds.to_dict() == {"init": 0, "order": 0, "augment": 0}
    assert study.predictions("test").shape == (5, 90, 2)
    assert "loss" in study.metrics()
    assert "note" not in study.metrics()
    assert study.runs[0].weights == (None,)
    assert rs.variance(study).sentence()
    with pytest.raises(DuplicateRunError, match="seeds or hyperparameters of its own"):
        rs.live.follow(tmp_path / "s", seeds=0, hyperparameters={"lr": 0.1}).begin()


def test_a_crash_leaves_a_failed_run_with_what_it_logged(tmp_path):
    with pytest.raises(ZeroDivisionError), rs.live.follow(tmp_path / "s", seeds=1) as run:
        run.log(0, {"loss": 1.0})
        run.log(1, {"loss": 1 / 0})
    study = rs.open_study(tmp_path / "s")
    assert study.runs[0].status == "failed"
    assert "ZeroDivisionError" in study.runs[0].error
    assert study.metrics()["loss"].values.tolist() == [[1.0]]


def test_a_process_that_ends_without_the_end_of_its_training_leaves_a_failed_run(tmp_path):
    code = (
        "import runspread as rs\n"
        f"run = rs.live.follow({str(tmp_path / 's')!r}, seeds=1)\n"
        "run.begin(); run.log(0, {'loss': 1.0})\nraise MemoryError('no more')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=_environment(), check=False)
    assert done.returncode == 1
    run = rs.open_study(tmp_path / "s").runs[0]
    assert run.status == "failed"
    assert "MemoryError: no more" in run.error


def _environment():
    import os

    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}


# ------------------------------------------------------------------ the shape of the libraries


@pytest.fixture
def fake(monkeypatch):
    """Modules with the classes that callbacks derive from, so that these are tested without the libraries."""

    def module(name, **classes):
        made = types.ModuleType(name)
        vars(made).update(classes)
        monkeypatch.setitem(sys.modules, name, made)

    class Base:
        def on_save(self, *args, **kwargs):
            return "of the library"

    module("transformers", TrainerCallback=Base)
    module("lightning", __path__=[])
    module("lightning.pytorch", Callback=Base, __path__=[])
    module("lightning.pytorch.loggers", Logger=Base)
    module("keras", __path__=[])
    module("keras.callbacks", Callback=Base)
    return Base


def test_the_callback_of_hugging_face(tmp_path, data, fake):
    recording = rs.live.RunspreadCallback(tmp_path / "s", predictions={"test": data}, hyperparameters={"tag": "a"})
    assert isinstance(recording, fake)
    assert isinstance(recording, rs.live.RunspreadCallback)
    assert recording.on_save() == "of the library"
    arguments = types.SimpleNamespace(seed=42, data_seed=7, learning_rate=0.1, output_dir="/home/x")
    recording.on_train_begin(arguments, None, None)
    for step in range(5, 60, 5):
        logs = {"loss": 1 / step, "epoch": step / 10}
        recording.on_log(arguments, types.SimpleNamespace(global_step=step), None, logs=logs, model=weights(step))
    recording.on_train_end(arguments, None, None, model=Linear(weights(1)))
    run = rs.open_study(tmp_path / "s").runs[0]
    assert run.seeds.to_dict() == {"init": 42, "order": 7, "augment": 42}
    assert run.hyperparameters == {"learning_rate": 0.1, "tag": "a"}
    assert run.accuracy["test"] > 0
    assert "epoch" not in run.metrics


def test_the_three_lines_of_the_readme_record_a_run(tmp_path, data, fake, monkeypatch):
    class Trainer:
        def __init__(self, model, args, train_dataset):
            self.model, self.args, self.callbacks = model, args, []
            self.add_callback = self.callbacks.append

        def train(self):
            (callback,) = self.callbacks
            callback.on_train_begin(self.args, None, None)
            for step in (5, 10):
                now = types.SimpleNamespace(global_step=step)
                callback.on_log(self.args, now, None, logs={"loss": 1 / step}, model=self.model)
            callback.on_train_end(self.args, None, None, model=self.model)

    monkeypatch.chdir(tmp_path)
    (lines,) = re.findall(r"^```py\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert len(lines.splitlines()) == 3
    arguments = types.SimpleNamespace(seed=3, learning_rate=0.1)
    known = {"rs": rs, "Trainer": Trainer, "model": Linear(weights(1)), "args": arguments, "train": data}
    exec(lines, known | {"test_loader": data})
    run = rs.open_study("runs/mine").runs[0]
    assert (run.seeds.init, run.status, run.hyperparameters) == (3, "completed", {"learning_rate": 0.1})
    assert run.accuracy["test"] > 0
    assert {"loss", "l2"} <= set(run.metrics)


def test_the_callback_of_lightning(tmp_path, data, fake):
    recording = rs.live.LightningCallback(tmp_path / "s", predictions={"test": data})

    class Module(Linear):
        hparams = {"seed": 3, "lr": 0.1, "opt": {"name": "sgd"}}  # noqa: RUF012

    module, trainer = (
        Module(weights(1)),
        types.SimpleNamespace(global_step=8, callback_metrics={}, sanity_checking=False),
    )
    recording.on_fit_start(trainer, module)
    trainer.callback_metrics = {"val/acc": np.float32(0.5)}
    recording.on_validation_end(trainer, module)
    recording.on_train_epoch_end(trainer, module)
    recording.on_exception(trainer, module, RuntimeError("out of memory"))
    run = rs.open_study(tmp_path / "s").runs[0]
    assert (run.status, run.hyperparameters) == ("failed", {"lr": 0.1, "opt.name": "sgd"})
    assert set(run.seeds.to_dict().values()) == {3}
    assert "out of memory" in run.error
    assert "val/acc" in run.metrics


def test_the_logger_of_lightning(tmp_path, fake):
    logger = rs.live.LightningLogger(tmp_path / "s", seeds=4)
    logger.log_hyperparams({"lr": 0.1})
    for step in range(3):
        logger.log_metrics({"loss": 1.0, "epoch": 0}, step)
    logger.finalize("success")
    run = rs.open_study(tmp_path / "s").runs[0]
    assert (run.status, run.hyperparameters, run.metrics) == ("completed", {"lr": 0.1}, ("loss",))
    assert logger.name == "s"


def test_the_callback_of_keras(tmp_path, data, fake):
    class Model:
        weights = ()

        def predict(self, x, verbose):
            return np.stack([-x[:, 0], x[:, 0]], axis=1)

    recording = rs.live.KerasCallback(tmp_path / "s", seeds=3, predictions={"test": data}, keep_weights=False)
    recording.model, recording.params = Model(), {"epochs": 2, "steps": 3, "verbose": 1}
    recording.on_train_begin()
    for epoch in range(2):
        recording.on_epoch_end(epoch, {"loss": 1.0, "val_acc": 0.5})
    recording.on_train_end()
    run = rs.open_study(tmp_path / "s").runs[0]
    assert run.hyperparameters == {"epochs": 2, "steps": 3}
    assert run.accuracy == {"test": 1.0}


def test_a_library_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(rs.errors.MissingDependencyError, match="needs the package keras"):
        rs.live.KerasCallback(tmp_path / "s")
    assert not Path(tmp_path / "s").exists()


# ------------------------------------------------------------------ the libraries themselves


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the library's own are its own
def test_lightning_itself(tmp_path, data):
    lightning = pytest.importorskip("lightning.pytorch")
    torch = pytest.importorskip("torch")

    class Module(lightning.LightningModule):
        def __init__(self, seed, lr=0.1):
            super().__init__()
            self.save_hyperparameters()
            self.fc = torch.nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(x)

        def training_step(self, batch, _):
            loss = torch.nn.functional.cross_entropy(self(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*map(torch.tensor, data)), batch_size=30)
    for seed in range(5):
        lightning.seed_everything(seed)
        recording = rs.live.LightningCallback(tmp_path / "s", predictions={"test": loader})
        trainer = lightning.Trainer(max_epochs=12, callbacks=[recording], logger=False, enable_checkpointing=False,
                                    enable_progress_bar=False, accelerator="cpu")  # fmt: skip
        trainer.fit(Module(seed), loader)
    _answers(rs.open_study(tmp_path / "s"))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the library's own are its own
def test_transformers_itself(tmp_path, data):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    pytest.importorskip("accelerate")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(4, 2)

        def forward(self, x, labels=None):
            logits = self.fc(x)
            loss = None if labels is None else torch.nn.functional.cross_entropy(logits, labels)
            return {"loss": loss, "logits": logits} if loss is not None else logits

    rows = [{"x": torch.tensor(x), "labels": int(y)} for x, y in zip(*data, strict=True)]
    loader = torch.utils.data.DataLoader(rows, batch_size=30)
    for seed in range(5):
        arguments = transformers.TrainingArguments(
            str(tmp_path / f"o{seed}"), num_train_epochs=4, logging_steps=1, seed=seed, report_to=[], use_cpu=True,
            save_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        trainer = transformers.Trainer(Model(), arguments, train_dataset=rows)
        trainer.add_callback(rs.live.RunspreadCallback(tmp_path / "s", predictions={"test": loader}))
        trainer.train()
    _answers(rs.open_study(tmp_path / "s"))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the library's own are its own
def test_keras_itself(tmp_path, data, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    for seed in range(5):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer="sgd", loss=loss, metrics=["accuracy"])
        recording = rs.live.KerasCallback(tmp_path / "s", seeds=seed, predictions={"test": data})
        model.fit(*data, epochs=12, verbose=0, callbacks=[recording])
    study = rs.open_study(tmp_path / "s")
    _answers(study)
    assert all(run.weights for run in study.runs)


def _answers(study):
    assert len(study.runs) == 5
    assert {run.status for run in study.runs} == {"completed"}
    assert sorted(run.seeds.init for run in study.runs) == list(range(5))
    assert rs.variance(study).sentence()
    assert rs.dynamics(study, states=[2], metrics=["loss"]).sentence()
