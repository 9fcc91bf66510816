from .of_executors import ExecutorTests
from .of_importers import ImporterTests
from .of_outputs import OutputsTests
from .of_stores import StudyTests

__all__ = ["ExecutorTests", "ImporterTests", "OutputsTests", "StudyTests"]
