"""Build the source archive and the wheel, and use the wheel in an empty environment: `make dist`.

What an editable installation cannot show: a file that the wheel lacks, a dependency that nobody declared, a version
that differs from the package's. With `--demo` also what the `train` extra brings, and the demo.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
DATA = (".pyi", ".jinja", ".csv", ".typed")
WITHOUT_TORCH = """
import sys, numpy as np, runspread as rs
rng = np.random.default_rng(0)
labels = rng.integers(0, 10, 500)
classes = np.where(rng.random((8, 500)) < 0.9, labels, (labels + 1) % 10)
print(rs.variance(classes, labels).sentence())
assert "torch" not in sys.modules
"""


def say(text: str) -> None:
    """Print a line, before what a child prints."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def call(words: Sequence[str | Path], place: Path, status: int = 0) -> str:
    """Run a command in a folder where the source is out of reach, and return what it printed."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(list(map(str, words)), cwd=place, env=kept, capture_output=True, text=True, check=False)
    if done.returncode != status:
        sys.exit(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def build() -> Path:
    """Build the archive from the tree and the wheel from the archive, and return the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    call([sys.executable, "-m", "build", "--outdir", DIST, ROOT], ROOT)
    (wheel,) = DIST.glob("*.whl")
    return wheel


def nothing_is_lacking(wheel: Path) -> None:
    """Compare the files of the wheel with those that the tree has."""
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    wanted = {
        file.relative_to(ROOT / "src").as_posix()
        for file in (ROOT / "src").rglob("*")
        if file.suffix == ".py" or file.suffix in DATA
    }
    if wanted - packed:
        sys.exit(f"the wheel lacks {', '.join(sorted(wanted - packed))}")


def main() -> None:
    """Build, install and use."""
    wheel = build()
    nothing_is_lacking(wheel)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        venv.create(place / "venv", with_pip=True)
        binaries = place / "venv" / ("Scripts" if os.name == "nt" else "bin")
        install = [binaries / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt"]
        call([*install, wheel], place)
        version = call([binaries / "runspread", "--version"], place).split()[-1]
        if f"-{version}-" not in wheel.name:
            sys.exit(f"{wheel.name} says that its version is {version}")
        say(call([binaries / "python", "-W", "error", "-c", WITHOUT_TORCH], place).strip())
        say(call([binaries / "runspread", "demo", "--out", "no"], place, status=2).strip())
        if "--demo" in sys.argv:
            call([*install, f"{wheel}[train]"], place)
            said = call([binaries / "runspread", "demo", "--out", "study"], place).strip()
            say(said)
            if "Not available" in said:
                sys.exit("the demo of the wheel lacks the answer of a method")
    say(f"{wheel.name} works in an empty environment")


if __name__ == "__main__":
    main()
