from .asserts import assert_learns, assert_no_regression, assert_not_worse, assert_same_distribution
from .baselines import Baseline, read_baseline, write_baseline
from .of_executors import ExecutorTests
from .of_importers import ImporterTests
from .of_object_stores import StoreTests
from .of_outputs import OutputsTests
from .of_stores import StudyTests
from .reproducing import assert_reproducible, assert_seeds_differ

__all__ = [
    "Baseline",
    "ExecutorTests",
    "ImporterTests",
    "OutputsTests",
    "StoreTests",
    "StudyTests",
    "assert_learns",
    "assert_no_regression",
    "assert_not_worse",
    "assert_reproducible",
    "assert_same_distribution",
    "assert_seeds_differ",
    "read_baseline",
    "write_baseline",
]
