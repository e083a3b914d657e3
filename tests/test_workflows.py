"""The workflows: their permissions, and their shell steps, run as by the runner."""

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from bench.catalog import ROOT

OURS = ROOT / ".github" / "workflows" / "guard.yml"
README = ROOT / "README.md"
BASE = "${{ github.event.pull_request.base.sha }}"
WORKLOAD = '''
"""Log-scales prices."""

import keras
import numpy as np


def examples(rng, count):
    return rng.lognormal(size=(count, 8)).astype("float32")


def build(examples):
    return keras.layers.Lambda(keras.ops.log1p)


def check(batch, output):
    np.testing.assert_allclose(output, np.log1p(batch), rtol=1e-5)
'''


def for_users() -> str:
    """Return the workflow that the README offers to users."""
    blocks = re.findall(r"```yaml\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (workflow,) = [block for block in blocks if "run_bench.py guard" in block]
    return workflow


WORKFLOWS = {
    "test": lambda: OURS.with_name("test.yml").read_text("utf-8"),
    "guard": lambda: OURS.read_text("utf-8"),
    "users": for_users,
}


def steps(name):
    """Return the steps of a workflow's only job."""
    (job,) = yaml.safe_load(WORKFLOWS[name]())["jobs"].values()
    return job["steps"]


def step(name, title):
    (match,) = [s for s in steps(name) if s.get("name") == title]
    return match


def shell(step, folder, **variables):
    """Run a step's script as GitHub's runner does, in a folder."""
    own = {k: variables.get(k, value) for k, value in step.get("env", {}).items()}
    assert not [value for value in own.values() if "${{" in value]
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder,
        env=os.environ | own | {k: v for k, v in variables.items() if k not in own},
        capture_output=True,
        text=True,
        timeout=600,
    )


def git(folder, *arguments):
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    done = subprocess.run(
        ["git", "-C", folder, *identity, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def commit(folder):
    """Commit everything in the folder; return the name of the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "work")
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """Return a clone with the working tree's files, and links to these packages."""
    folder = tmp_path_factory.mktemp("scratch") / "feedrate"
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, so there is nothing to clone")
    git(ROOT, "clone", "--quiet", ROOT, folder)
    listed = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
        else:
            (folder / name).unlink(missing_ok=True)
    commit(folder)
    (folder / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        if path.name != "installed":
            (folder / ".venv" / path.name).symlink_to(path)
    (folder / ".venv" / "installed").touch()
    return folder


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_text_from_outside_reaches_a_shell(name):
    for each in steps(name):
        assert ("run" in each) != ("uses" in each)
        assert "${{" not in each.get("run", "")
        for value in each.get("env", {}).values():
            assert "${{" not in value or value == BASE


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_ends_and_can_only_read(name):
    workflow = yaml.safe_load(WORKFLOWS[name]())
    (job,) = workflow["jobs"].values()
    assert 0 < job["timeout-minutes"] <= 60
    if name != "test":
        assert workflow["permissions"] == {"contents": "read"}
        assert workflow[True] == "pull_request"  # YAML 1.1 reads `on` as true
        whole = [s for s in steps(name) if s.get("with", {}).get("fetch-depth") == 0]
        assert len(whole) == 1


@pytest.mark.parametrize("name", ["guard", "users"])
def test_the_verdicts_are_uploaded_even_if_the_guard_fails(name):
    upload = step(name, "Keep the verdicts")
    assert upload["if"] == "always()"
    assert f"--junit {upload['with']['path']}" in step(name, "Guard")["run"]


@pytest.mark.parametrize(("name", "place"), [("guard", "."), ("users", "..")])
def test_install_creates_the_command_that_guard_runs(name, place, suite):
    folder = (suite / place).resolve()
    done = shell(step(name, "Install"), folder)
    assert done.returncode == 0, done.stderr
    python, script = step(name, "Guard")["run"].split()[:2]
    done = subprocess.run(
        [folder / python, script, "--help"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Measure where preprocessing should run" in done.stdout


def guarded(name, folder, base, tmp_path):
    """Run the guard's step at little cost, and check all its outputs."""
    summary = tmp_path / "summary.md"
    done = shell(
        step(name, "Guard"),
        folder,
        BASE=base,
        BUDGET="1s",
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(summary),
    )
    output = done.stdout + done.stderr
    # Base and head are equal, so the guard never finds a slow-down.
    assert done.returncode in (0, 3), output
    assert "Traceback" not in output
    assert "Guard: " in summary.read_text("utf-8")
    assert "title=Feedrate guard::Guard: " in done.stderr
    return ElementTree.parse(folder / "guard.xml").getroot()


def test_our_guard_runs(suite, tmp_path):
    base = commit(suite)
    commit(suite)
    root = guarded("guard", suite, base, tmp_path)
    names = {case.get("name").partition("[")[0] for case in root.iter("testcase")}
    assert names == {"photographs", "prose", "prices"}


def test_the_users_guard_runs(suite, tmp_path):
    mine = suite.parent / "mine"
    (mine / "path" / "to").mkdir(parents=True)
    git(mine, "init", "--quiet")
    (mine / "path" / "to" / "mine.py").write_text(WORKLOAD.lstrip(), "utf-8")
    base = commit(mine)
    (mine / "path" / "to" / "mine.py").write_text(f"{WORKLOAD.lstrip()}\n", "utf-8")
    commit(mine)
    root = guarded("users", suite.parent, base, tmp_path)
    cases = {case.get("name") for case in root.iter("testcase")}
    assert cases
    assert all(name.startswith("path/to/mine.py[cpus=1]") for name in cases)
