"""How MLflow says that a run ended, in both of its stores."""

from __future__ import annotations

import time
from typing import Any

from .options import Options
from .records import RawRun
from .statuses import CRASHED, DELETED, FINISHED, KILLED, RUNNING, UNKNOWN

_NAMES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_READ = {"FINISHED": FINISHED, "FAILED": CRASHED, "KILLED": KILLED}


def say_status(run: RawRun, status: Any, options: Options, newest: float | None, *, deleted: bool) -> None:
    """Fill in a run's status; one that is deleted is excluded by whoever reads on."""
    said = str(status)
    said = _NAMES.get(int(said), said) if said.isdigit() else said
    run.evidence = f"status {said}"
    if said in _READ:
        run.status = _READ[said]
    elif said in ("RUNNING", "SCHEDULED"):
        young = newest is not None and time.time() - newest <= options.stale
        run.status = RUNNING if young else KILLED
        run.evidence += ", and nothing was logged for " + (f"less than {options.stale:g} s" if young else "long")
    else:
        run.status = UNKNOWN
    if deleted:
        run.status, run.evidence = DELETED, f"deleted in MLflow (status {said})"
