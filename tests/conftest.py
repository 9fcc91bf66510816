from __future__ import annotations

from pathlib import Path

import pytest

import runspread as rs

from .factories import small_recipe

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with MNIST, CIFAR-10 and the text corpus, which lies beside a developer's checkout."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the data sets beside the developers' checkouts (../shared/data) are not here")
    return folder


@pytest.fixture(scope="session")
def trained_study(tmp_path_factory) -> rs.Study:
    """Eight small networks, trained once by every worker that needs them; tests read the study and change nothing."""
    pytest.importorskip("torch")
    return rs.train(small_recipe(), runs=8, out=tmp_path_factory.mktemp("trained") / "study", workers=1)
