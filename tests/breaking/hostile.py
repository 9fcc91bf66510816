"""Studies, ensembles, checkpoints and tables that somebody sent, each of which would like to run its code."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np

import runspread as rs
from runspread._reading.plain_files import sealed


class Trap:
    """Code that leaves a mark where it is run, and files of every kind that try to have it run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark = folder / "it-ran"
        self.code = folder / "net.py"
        self.code.write_text(
            f"from pathlib import Path\nPath({str(self.mark)!r}).touch()\n"
            "import torch\n"
            "def net(shape, outputs, **options):\n"
            "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))\n"
            "def recipe():\n    import runspread as rs\n    return rs.recipe('digits-mlp')\n"
        )

    @property
    def sprung(self) -> bool:
        """Whether the code has run since the last look."""
        ran = self.mark.exists()
        self.mark.unlink(missing_ok=True)
        return ran

    def __reduce__(self):
        return Path.touch, (self.mark,)

    def study(self, name: str, *, in_run: bool) -> Path:
        """Return a study whose recipe, or whose runs' hyperparameters, name the code."""
        code = f"{self.code}:net"
        recipe = rs.recipe("digits-mlp", epochs=1, validation=300, evaluate=("validation", "test"))
        described = {**recipe.to_dict(), "data_fingerprint": ""}
        if not in_run:
            described |= {"model": code, "model_options": {}}
        labels = np.arange(297) % 10
        folder = self.folder / name
        study = rs.create_study(folder, splits={"validation": np.arange(300) % 10, "test": labels}, recipe=described)
        rng = np.random.default_rng(0)
        for seed in range(3):
            own = {"model": code, "model_options": {}} if in_run else {}
            with study.record(seeds=seed, hyperparameters={"lr": 0.1 * (seed + 1), **own}) as run:
                for step in range(1, 6):
                    run.log(step, loss=1 / step + seed / 10, test_accuracy=0.1 * step)
                run.predictions("validation", rng.normal(size=(300, 10)))
                run.predictions("test", rng.normal(size=(297, 10)))
                run.weights({"1.weight": rng.normal(size=(10, 64)), "1.bias": rng.normal(size=10)})
        return folder

    def ensemble(self) -> Path:
        """Return a saved ensemble whose recipe names the code."""
        import torch

        folder = self.folder / "ensemble"
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        rs.training.Ensemble.of([network, network]).save(folder)
        facts = json.loads((folder / "ensemble.json").read_text())
        recipe = {**rs.recipe("digits-mlp").to_dict(), "model": f"{self.code}:net", "model_options": {}}
        facts |= {"recipe": recipe, "shape": [64], "n_classes": 10}
        facts["members"][1]["hyperparameters"] = {"model": f"{self.code}:net"}
        del facts["crc32"]  # who means harm writes the right sum
        (folder / "ensemble.json").write_bytes(sealed(json.dumps(facts).encode()))
        return folder

    def files(self) -> list[Path]:
        """Return checkpoints, arrays and tables with pickles, or with text that is a formula or a call."""
        folder = self.folder / "files"
        folder.mkdir()
        (folder / "a.pt").write_bytes(pickle.dumps(self))
        (folder / "b.npy").write_bytes(_object_array(self))
        np.savez(folder / "c.npz", logits=np.array([self], dtype=object))
        with zipfile.ZipFile(folder / "d.pt", "w") as archive:
            archive.writestr("d/data.pkl", pickle.dumps(self))
            archive.writestr("d/version", "3")
        call = f"=__import__('pathlib').Path({str(self.mark)!r}).touch()"
        (folder / "e.csv").write_text(f'arm,score\n"{call}",0.5\n"{call}",0.6\nb,0.4\n')
        (folder / "f.jsonl").write_text(json.dumps({"arm": call, "score": 0.5, "__class__": "os.system"}) + "\n")
        (folder / "g.safetensors").write_bytes(pickle.dumps(self))
        return sorted(folder.iterdir())


def _object_array(value: object) -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header += b" " * (64 - (10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + pickle.dumps(value)
