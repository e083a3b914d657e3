"""Tests of the live guard, mostly by its command line, on a temporary repository."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
import repository

from bench.catalog import ROOT
from bench.errors import UsageError
from bench.guard import live, session, trio
from bench.guard.metrics import METRICS
from bench.guard.record import GuardResult, Interrupted, Row
from bench.guard.trio import Side
from bench.pipeline import pipeline
from bench.run.executors import ForkServer, Spawner, executor
from bench.run.protocol import CannotStart, Executor, Harness, Outcome, environment
from bench.run.turns import PROTOCOL
from bench.text import plural
from bench.trial import Effort, Failure, Measured, Trial

WORKLOAD = '''"""Log-scales prices."""

import keras
import numpy as np


def examples(rng, count):
    return rng.lognormal(size=(count, 8)).astype("float32")


def build(examples):
    {build}


def check(batch, output):
    np.testing.assert_allclose(output, np.log1p(batch), rtol=1e-5)
'''
WIDTH = 'np.load(__file__.replace("wide.py", "width.npy"))'
WIDE = WORKLOAD.replace("(count, 8)", f"(count, {WIDTH})")
GOOD = WORKLOAD.format(build="return keras.layers.Lambda(keras.ops.log1p)")
BAD = WORKLOAD.format(build='raise ValueError("no layers today")')


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Make workloads: on head one breaks, one is new, one gone, one has new inputs."""
    wide = WIDE.format(build="return keras.layers.Lambda(keras.ops.log1p)")
    files = {"mine.py": GOOD, "gone.py": GOOD, "wide.py": wide}
    folder = repository.make(tmp_path / "repo", files)
    np.save(folder / "width.npy", 8)
    repository.git(folder, "add", "width.npy")
    repository.git(folder, "commit", "--quiet", "--amend", "--message=first")
    np.save(folder / "width.npy", 16)
    (folder / "gone.py").unlink()
    (folder / "mine.py").write_text(BAD)
    (folder / "new.py").write_text(GOOD)
    return folder


def command(repo: Path, *arguments: str) -> list[str]:
    script = str(ROOT / "run_bench.py")
    return [sys.executable, script, "guard", "--repo", str(repo), *arguments]


def left_over(repo: Path, temporary: Path) -> list[str]:
    """Return the worktrees and scratch folders that a guard left behind."""
    scratch = [str(path) for path in temporary.glob("feedrate-*")]
    return repository.worktrees(repo) + scratch


def test_each_trial_without_figures_has_its_cause_and_nothing_is_left(
    repo: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    names = [f"--workload={name}.py" for name in ("mine", "new", "gone", "wide")]
    done = subprocess.run(
        command(repo, "--against-ref", "main", *names, "--budget", "240s", "--json"),
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
        timeout=300,
    )
    assert done.returncode == 5, done.stderr
    result = json.loads(done.stdout)
    assert {row["key"]: row["verdict"] for row in result["rows"]} == {
        "mine.py": "failed",
        "new.py": "not_comparable",
        "gone.py": "missing",
        "wide.py": "not_comparable",
    }
    causes = {row["key"]: row["cause"] for row in result["rows"]}
    line = BAD.splitlines().index('    raise ValueError("no layers today")') + 1
    assert causes["mine.py"] == (
        f"ValueError in adapt: no layers today (mine.py, line {line}, in build)"
    )
    assert causes["wide.py"].startswith(
        "the inputs differ in shape: features are float32[1024, 8] in base and "
        "float32[1024, 16] in head; "
    )
    assert result["notes"] == [
        "Head has changes that are not committed; they are measured."
    ]
    assert left_over(repo, temporary) == []


def write_helpers(repo: Path, tree: str) -> None:
    """Write modules that the workload imports; it fails if they are of another tree."""
    (repo / "src").mkdir(exist_ok=True)
    for name in ("at_top.py", "src/in_src.py"):
        (repo / name).write_text(f"TREE = {tree!r}\n")
    imports = f"import at_top, in_src\nassert at_top.TREE == in_src.TREE == {tree!r}\n"
    (repo / "mine.py").write_text(GOOD + imports)


def test_an_interrupt_writes_the_result_and_leaves_nothing_running(
    repo: Path, tmp_path: Path
) -> None:
    """All forms of the result are written, but no history.

    The guard starts in head's tree, with its `src` in PYTHONPATH. Base imports its own
    modules all the same, or no trio would run.
    """
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    write_helpers(repo, "base")
    repository.git(repo, "add", "mine.py", "at_top.py", "src")
    repository.git(repo, "commit", "--quiet", "--message=second")
    write_helpers(repo, "head")
    junit, history = tmp_path / "junit.xml", tmp_path / "history.jsonl"
    running = subprocess.Popen(
        command(
            repo,
            "--against-ref",
            "main",
            "--workload=mine.py",
            "--budget=300s",
            "--metric=latency_p95",
            f"--junit={junit}",
            f"--history={history}",
            "--threshold=1%",
            "--json",
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=repo,
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(repo / "src")},
        # Else it would ignore the interrupt where this test runs in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert "1 trio," in running.stderr.readline()
    # Its server and the three processes of the next trio are there: it is running.
    while len(children := psutil.Process(running.pid).children(recursive=True)) < 4:
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    running.send_signal(signal.SIGTERM)  # from an impatient user, while it ends
    record, errors = running.communicate(timeout=120)
    assert running.returncode == 130
    assert errors.splitlines()[-1] == (
        "Interrupted: open verdicts are unknown, and no history is written."
    )
    assert "Traceback" not in errors
    result = json.loads(record)
    assert (result["exit_code"], result["outcome"]) == (130, "interrupted")
    (row,) = result["rows"]
    assert row["verdict"] == "unknown"
    assert row["cause"] == (
        "interrupted before it was settled, after "
        f"{plural(row['count'], 'trio')} of processes"
    )
    assert row["cause"] in junit.read_text()
    assert not history.exists()
    assert psutil.wait_procs(children, timeout=120)[1] == []
    assert left_over(repo, temporary) == []


def test_another_interpreter_takes_turns_with_this_one(repo: Path) -> None:
    """Both are the same interpreter: the versions agree, and so must the outputs.

    The layers get whole batches, so that trios soon meet enough of them.
    """
    start = time.monotonic()
    done = subprocess.run(
        command(
            repo, "--against-python", sys.executable, "--workload",
            str(repo / "new.py"), "--axis", "order=batch_map", "--budget", "240s",
            "--threshold", "50%", "--json", "--metric", "seconds_per_example",
        ),
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.stdout, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert done.returncode in (0, 3), done.stderr
    (row,) = result["rows"]
    assert row["count"] >= 3, f"after {time.monotonic() - start:.0f} s: {row}"
    assert not row["output_changed"]
    assert result["notes"] == [
        "Both interpreters have the same versions of Python and of all packages."
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[Executor]:
    """A started executor for the trios of this module."""
    started = executor()
    started.start()
    yield started
    started.stop()


def run_equal_trio(server: Executor, workload: Path, **axes: object) -> trio.Trio:
    """Return a short trio of one trial, whose three processes are alike."""
    side = Side(server, Trial(workload=str(workload), pipeline=pipeline(axes)))
    taken = trio.run_trio(side, side, session.EFFORT, seconds=0.1, seed=0, number=0)
    assert taken.failures == {}
    return taken


def test_each_process_of_a_trio_times_its_phases(repo: Path, server: Executor) -> None:
    """A process that repeats the preparation of another one does so as well."""
    result = run_equal_trio(server, repo / "new.py", cache="mapped")
    for one in result.measured:
        for name in ("adapt_seconds", "first_batch_seconds", "fill_seconds"):
            metric = METRICS[name]
            assert 0 < metric.figure(one) < 2 * metric.elapsed(one) + 0.1


SLEEPS = """
import time
import keras
import tensorflow as tf

DETERMINISTIC = True


def rest(values):
    time.sleep(0.005)
    return values


def examples(rng, count):
    return rng.random((count, 4), dtype="float32")


def decode(example):
    rested = tf.numpy_function(rest, [example], tf.float32)
    return tf.ensure_shape(rested, example.shape)


def build(examples):
    return keras.layers.Rescaling(2.0)


def check(before, after):
    assert abs(2 * before - after).max() < 1e-5
"""


def test_no_turn_gets_batches_that_were_prepared_between_turns(
    tmp_path: Path, server: Executor
) -> None:
    """A batch of four cannot come faster than four rests, one after another.

    AUTOTUNE would let the prefetch grow until whole windows stand ready.
    """
    workload = tmp_path / "sleeps.py"
    workload.write_text(SLEEPS)
    result = run_equal_trio(server, workload, batch_size=4, prefetch="autotune")
    for row in result.turns:
        assert all(turn.quiet for turn in row)
        assert min(turn.seconds for turn in row) > 0.9 * 4 * 0.005


def test_each_side_runs_its_own_tree_wherever_the_guard_is_started(
    tmp_path: Path, monkeypatch
) -> None:
    """The guard may start at the top of this repository, nearest to head's tree."""
    (tmp_path / "base" / "bench").mkdir(parents=True)
    (tmp_path / "base" / "bench" / "machine.py").write_text("print(__file__)")
    (tmp_path / "theirs.py").write_text("")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "machine.py").write_text("print(__file__)")
    done = subprocess.run(
        [sys.executable, "-m", "bench.machine"],
        env=environment(Harness(root=tmp_path / "base")),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path / 'base' / 'bench' / 'machine.py'}\n"
    subprocess.run(  # a user's file still imports its neighbours
        [sys.executable, "-c", "import theirs"],
        env=environment(Harness()),
        check=True,
    )


@pytest.mark.parametrize("make", [ForkServer, Spawner])
@pytest.mark.parametrize(
    ("python", "why"),
    [("/bin/false", "no message"), ("/nowhere/python", "No such file or directory")],
)
def test_an_interpreter_in_which_nothing_starts_is_an_error(make, python, why) -> None:
    """A spawned process that dies is a failure of its trial instead."""
    server = make(Harness(python=python, root=Path("/tree")))
    trial, effort = Trial(workload="prose"), Effort()
    if (make, python) == (Spawner, "/bin/false"):
        outcome = server.execute("measure", trial, effort, 0)
        assert outcome.failure == Failure(type="Died", message="left with status 1")
    else:
        with pytest.raises(CannotStart) as error:
            server.begin("measure", trial, effort, 0)
        assert str(error.value) == (
            f"The processes that measure cannot start ({python}, modules of /tree): "
            f"{why}. See what run_bench.py doctor says."
        )
    server.stop()


def test_a_base_with_another_protocol_of_turns_is_refused(monkeypatch) -> None:
    class Old:
        protocol = 0

        def start(self) -> None:
            pass

        def stop(self) -> None:
            self.stopped = True

    old = Old()
    monkeypatch.setattr(live, "executor", lambda home: old)
    with (
        pytest.raises(UsageError) as error,
        live._started_servers(Harness(root=Path("/base")), Harness()),
    ):
        pass
    assert str(error.value) == (
        "The harness in /base takes turns by protocol 0 and this one by 5: they cannot "
        "be compared live. Compare result folders: guard A B."
    )
    assert old.stopped


def test_the_reference_may_fail_after_the_guard(monkeypatch) -> None:
    """The verdicts stand, without a ratio for the history."""
    result = GuardResult(base="a", head="b", how="lockstep", rows=[], notes=["one"])
    monkeypatch.setattr(session, "live", lambda cases, **names: result)
    good = Outcome(msgspec.json.encode(Measured(samples=[0.256])), None, 1.0)
    lost = Outcome(b"", Failure(type="Died", message="gone"), 1.0)

    def guarded(*outcomes: Outcome) -> GuardResult:
        remaining = iter(outcomes)
        server = types.SimpleNamespace(execute=lambda *_: next(remaining))
        return live._guard({}, live.guard_request(reference=True), server)

    assert guarded(good, good).reference == pytest.approx(0.001)
    after = guarded(good, lost)
    assert after.reference is None
    assert after.notes == [
        "one",
        "The reference workload failed: gone. So this guard has no ratio in a history.",
    ]
    with pytest.raises(UsageError, match=r"^The reference workload failed: gone\.$"):
        guarded(lost)


@pytest.mark.parametrize(
    ("base", "count"), [(Harness(), 1), (Harness(root=Path("/base")), 3)]
)
def test_the_control_has_a_server_of_its_own_where_head_has(
    base: Harness, count: int, monkeypatch
) -> None:
    """Processes of one server warm each other's caches."""

    class Server:
        protocol = PROTOCOL

        def __init__(self, home: Harness) -> None:
            self.home = home

        def start(self) -> None:
            pass

        def stop(self) -> None:
            pass

    monkeypatch.setattr(live, "executor", Server)
    with live._started_servers(base, Harness()) as servers:
        assert [server.home for server in servers] == [base, base, Harness()]
        assert len(set(servers)) == count


@pytest.fixture
def against_main(repo: Path, monkeypatch) -> Callable[..., GuardResult]:
    """Return a guard of `mine.py` with these verdicts, and something done meanwhile."""

    @contextlib.contextmanager
    def servers(*homes: Harness):
        yield None, None, None

    def guarded(
        *verdicts: str, meanwhile: Callable = lambda: None, interrupted: bool = False
    ) -> GuardResult:
        def measured(cases, *, notes, **names) -> GuardResult:
            meanwhile()
            rows = [Row(key="mine.py", metric=v, verdict=v, cause=v) for v in verdicts]
            result = GuardResult(
                base="a", head="b", how="lockstep", rows=rows, notes=notes
            )
            if interrupted:
                raise Interrupted(result)
            return result

        monkeypatch.setattr(live, "_started_servers", servers)
        monkeypatch.setattr(session, "live", measured)
        return live.against_ref(
            repo, "main", live.guard_request([str(repo / "mine.py")])
        )

    return guarded


DIRTY = "Head has changes that are not committed; they are measured."


def test_a_head_that_was_edited_meanwhile_has_no_verdict(repo: Path, against_main):
    """Some of its processes ran other code than the rest."""

    def edit() -> None:
        with (repo / "mine.py").open("a") as file:
            file.write("# edited\n")

    def outcomes(result: GuardResult) -> list[tuple[str, str]]:
        return [(row.verdict, row.cause) for row in result.rows]

    verdicts = ("slower", "faster", "unchanged", "failed")
    still = against_main(*verdicts)
    assert outcomes(still) == [(verdict, verdict) for verdict in verdicts]
    assert still.notes == [DIRTY]
    cause = "the working tree changed while it was measured"
    expected = [*[("unknown", cause)] * 3, ("failed", "failed")]
    note = f"T{cause[1:]}, so head was not one revision: measure again."
    edited = against_main(*verdicts, meanwhile=edit)
    with pytest.raises(Interrupted) as stopped:
        against_main(*verdicts, meanwhile=edit, interrupted=True)
    for result in (edited, stopped.value.result):
        assert outcomes(result) == expected
        assert result.notes == [DIRTY, note]


def test_a_failure_of_git_at_the_end_is_noted(repo: Path, against_main) -> None:
    def lose() -> None:
        (repo / ".git" / "HEAD").write_text("lost\n")

    result = against_main("slower", meanwhile=lose)
    assert [row.verdict for row in result.rows] == ["slower"]
    assert result.notes[-1].startswith(
        f"git cannot determine whether {repo} is changed: "
    )


def test_submodules_that_base_lacks_are_noted(repo: Path, against_main) -> None:
    (repo / ".gitmodules").write_text('[submodule "one"]\n\tpath = libs/one\n')
    repository.git(repo, "add", ".gitmodules")
    repository.git(repo, "commit", "--quiet", "--message=second")
    assert against_main("unchanged").notes == [
        DIRTY,
        "Submodules are empty in base: libs/one. Their content is not compared, and a "
        "workload that needs it fails there.",
    ]


def test_a_repository_of_a_user_needs_a_named_workload(repo: Path) -> None:
    with pytest.raises(UsageError) as error:
        live.against_ref(repo, "main", live.guard_request())
    assert str(error.value) == (
        f"No workload of {repo} is named. Give your workload's file: --workload "
        "path/to/yours.py."
    )
    with pytest.raises(UsageError) as error:
        live.against_ref(repo, "main", live.guard_request(["prose"]))
    assert str(error.value) == (
        f"'prose' is this suite's own and the same at every ref of {repo}. Give your "
        "workload's file: --workload path/to/yours.py."
    )


def test_metrics_that_no_trial_has_are_refused_with_what_they_need() -> None:
    side = Side(None, Trial(workload="mine.py"))
    limits = {"offline_seconds": 0.2, "fill_seconds": 0.2}
    request = live.guard_request(["prose"], thresholds=lambda key: limits)
    with pytest.raises(UsageError) as error:
        live._guard({"mine.py": (side, side)}, request, None)
    assert str(error.value) == (
        "No trial here has offline_seconds, fill_seconds. Name metrics that its "
        "pipeline has: offline_seconds needs offline preprocessing (--axis "
        "placement=offline); fill_seconds needs a cache (--axis cache=mapped)."
    )
