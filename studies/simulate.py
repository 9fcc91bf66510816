"""Simulate what the package promises, and write docs/simulations.md.

Run from the repository root: ``python studies/simulate.py --write``; ``--only trimming dynamics`` for some families
(the sections of the others stay as they are), ``--scale 0.1`` for a tenth of the data sets.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from simulations.promises import table

PAGE = Path(__file__).parents[1] / "docs" / "simulations.md"
FAMILIES = tuple(
    sorted(file.stem for file in Path(__file__).parent.glob("simulations/[a-z]*.py") if file.stem != "promises")
)
HEAD = """# How often what runspread says is so

Each row is something that a user reads, simulated on data sets whose truth is known. "Kept" means that the simulated
share is compatible with the promise; "assumption broken" rows show how far a promise fails where its assumptions do,
and are not judged. Printed by `python studies/simulate.py --write`.
"""


def section(family: str, scale: float) -> str:
    """Return one family's heading, introduction and table."""
    module = importlib.import_module(f"simulations.{family}")
    title, _, text = (module.__doc__ or "").partition("\n\n")
    return f"## {title.rstrip('.')}\n\n{text.strip()}\n\n{table(list(module.promises(scale)))}\n".replace(
        "\n\n\n", "\n\n"
    )


def sections(page: str) -> dict[str, str]:
    """Return the sections of a page by the family that its marker names."""
    parts = re.split(r"^<!-- family: (\w+) -->\n", page, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of data sets a row")
    parser.add_argument("--write", action="store_true", help="into docs/simulations.md; else print")
    options = parser.parse_args()
    found = sections(PAGE.read_text()) if options.write and PAGE.is_file() else {}
    for family in options.only:
        found[family] = section(family, options.scale)
    text = HEAD + "".join(f"\n<!-- family: {family} -->\n{found[family].strip()}\n" for family in sorted(found))
    if options.write:
        PAGE.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
