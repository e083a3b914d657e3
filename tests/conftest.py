"""All tests share one folder of inputs, and TensorFlow logs nothing."""

import gc
import os
import sys
from collections.abc import Iterator

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):  # those of our own job
    os.environ.pop(name, None)


@pytest.fixture(scope="module", autouse=True)
def exempt_from_garbage_collection() -> None:
    """Leave out all that is imported by now when Python collects garbage.

    TensorFlow, Keras and the tests are so many objects that one walk through them
    takes 0.2 s. A measured run collects garbage twice, and some runs end the exemption.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def made_inputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make inputs once a session, and never in the user's own cache."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FEEDRATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def consumers_freed() -> Iterator[None]:
    """Free the consumers of each test.

    A measuring process ends with its only run and so keeps its consumer. Here they
    would add up: the 24th run took one and a half times as long as the first one.
    """
    yield
    if measurement := sys.modules.get("bench.measure.measurement"):
        measurement.CONSUMERS_IN_USE.clear()
