"""Promise 18: no network unless asked. The whole suite without one is `make test-offline`; here, the day of a study."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tests.breaking.tools import environment

DAY = """
import sys
from pathlib import Path
from click.testing import CliRunner
import runspread as rs
from runspread._cli import cli
from tests.breaking import tools
study = tools.make_study(Path(sys.argv[1]), 6)
for command in ("info", "variance", "audit", "trimming", "summary", "dynamics", "report", "verify"):
    found = CliRunner().invoke(cli, [command, str(study.path)])
    assert found.exit_code in (0, 1, 2, 3), found.output
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
print("done")
"""


@pytest.mark.slow
def test_the_day_of_a_study_needs_no_network(tmp_path):
    alone = [shutil.which("unshare") or "unshare", "-rn"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine makes no network namespaces")
    command = [*alone, sys.executable, "-c", DAY, str(tmp_path / "study")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "done"
