"""One folder of made inputs for all tests, and nothing of TensorFlow's chatter."""

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
for name in (
    "GITHUB_ACTIONS",
    "GITHUB_STEP_SUMMARY",
):  # of our own job
    os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def made_inputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Inputs are made once a session, and never into the user's own cache."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FEEDRATE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
