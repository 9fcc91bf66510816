from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with MNIST, CIFAR-10 and the text corpus, which lies beside a developer's checkout."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("the data sets beside the developers' checkouts (../shared/data) are not here")
    return folder
