"""All tests share one folder of inputs, and TensorFlow logs nothing."""

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):  # those of our own job
    os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def made_inputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make inputs once a session, and never in the user's own cache."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FEEDRATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
