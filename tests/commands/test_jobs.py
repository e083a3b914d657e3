"""Jobs for schedulers: their files, and their shell steps, run as a scheduler does."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import run_bench
from bench.catalog import ROOT
from bench.commands import jobs, run
from bench.plan import plan

WORKLOAD = '''"""Nothing."""
def examples(rng, count): ...
def build(examples): ...
def check(batch, output): ...
'''
# Stands in for Python: it records its arguments, and makes a plan as `run` does.
PYTHON = """#!/bin/bash
printf '%s\\0' "$@" >> calls
while [ "$#" -gt 0 ]; do
  if [ "$1" = --out ]; then mkdir -p "$2"; touch "$2/plan.json"; fi
  shift
done
"""
COUNT = 2
OUT = "my results/tab le"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a workload's file whose name a shell would split."""
    (tmp_path / "it's mine.py").write_text(WORKLOAD)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


WORDS = ["run", "quick", "--workload", "it's mine.py", "--workload", "prices"]
WORDS += ["--strategy", "naive", "--axis", "batch_size=16,32", "--seed", "3"]


@pytest.fixture
def written(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable:
    """Return a function that returns the file of a job."""

    def write(scheduler: str) -> str:
        more = ["--write-job", scheduler, "--shards", str(COUNT), "--out", OUT]
        assert run_bench.main([*WORDS, *more]) == 0
        assert {path.name for path in folder.iterdir()} == {".venv", "it's mine.py"}
        return capsys.readouterr().out

    return write


def called(folder: Path) -> list[list[str]]:
    """Return the arguments of each call of the program since the last look."""
    words = (folder / "calls").read_text().split("\0")[:-1]
    (folder / "calls").unlink()
    starts = [n for n, word in enumerate(words) if word == "run_bench.py"]
    return [
        words[start + 1 : end]
        for start, end in zip(starts, [*starts[1:], len(words)], strict=True)
    ]


def shell(folder: Path, command: list[str], **variables: str) -> None:
    subprocess.run(command, cwd=folder, env=os.environ | variables, check=True)


def assert_shards(calls: list[list[str]], whole: plan.Plan) -> None:
    """Assert that these calls run all shards of a plan into folders of their own."""
    parts = [run.make_plan(run_bench.parsed(words)) for words in calls]
    folders = [f"{OUT}/shard-{n}-of-{COUNT}" for n in range(1, COUNT + 1)]
    assert [str(out) for out, _ in parts] == folders
    assert [part.shard.number for _, part in parts] == list(range(1, COUNT + 1))
    keys = sorted(trial.key for _, part in parts for trial in part.trials)
    assert keys == sorted(trial.key for trial in whole.trials)
    assert {part.seed for _, part in parts} == {whole.seed}


def whole() -> plan.Plan:
    return run.make_plan(run_bench.parsed(WORDS))[1]


def resumed() -> list[list[str]]:
    return [
        ["run", "--resume", f"{OUT}/shard-{n}-of-{COUNT}"] for n in range(1, COUNT + 1)
    ]


def test_the_pods_of_kubernetes_run_and_resume_the_shards(
    written: Callable, folder: Path
) -> None:
    job = yaml.safe_load(written("kubernetes"))
    spec = job["spec"]
    assert (job["kind"], spec["completionMode"]) == ("Job", "Indexed")
    assert spec["completions"] == spec["parallelism"] == COUNT
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # which a limit by index demands
    (container,) = pod["containers"]
    (mount,) = container["volumeMounts"]
    assert mount["mountPath"] == f"{container['workingDir']}/{OUT}"
    assert mount["name"] == pod["volumes"][0]["name"]
    limits = container["resources"]
    assert limits["requests"] == limits["limits"]
    for label in (job["metadata"]["generateName"], mount["subPath"]):
        assert re.fullmatch(r"[a-z0-9-]{1,50}", label)
    assert "$(" not in container["command"][-1]  # Kubernetes would expand it

    def run_pods() -> list[list[str]]:
        for index in range(COUNT):
            shell(folder, container["command"], JOB_COMPLETION_INDEX=str(index))
        return called(folder)

    assert_shards(run_pods(), whole())
    assert run_pods() == resumed()


def test_the_array_of_slurm_runs_and_resumes_the_shards(
    written: Callable, folder: Path
) -> None:
    text = written("slurm")
    script = folder / "job.sh"
    script.write_text(text)
    settings = re.findall(r"^#SBATCH --(\S+)", text, re.MULTILINE)
    assert f"array=1-{COUNT}" in settings
    assert text.startswith("#!/bin/bash\n")

    def run_tasks() -> list[list[str]]:
        for index in range(1, COUNT + 1):
            shell(folder, ["bash", str(script)], SLURM_ARRAY_TASK_ID=str(index))
        return called(folder)

    assert_shards(run_tasks(), whole())
    assert run_tasks() == resumed()


def test_the_workflow_runs_the_shards_and_reports_them(
    written: Callable, folder: Path
) -> None:
    workflow = yaml.safe_load(written("github"))
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow[True] == "workflow_dispatch"  # YAML 1.1 reads `on` as true
    shard, report = workflow["jobs"]["shard"], workflow["jobs"]["report"]
    assert report["needs"] == "shard"
    for step in (*shard["steps"], *report["steps"]):
        assert ("run" in step) != ("uses" in step)
        assert "${{" not in step.get("run", "")
    bash = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"]
    (step,) = [step for step in shard["steps"] if step.get("name") == "Run"]
    assert step["env"] == {"NUMBER": "${{ matrix.number }}"}
    for number in shard["strategy"]["matrix"]["number"]:
        shell(folder, [*bash, step["run"]], NUMBER=str(number))
    assert_shards(called(folder), whole())
    kept = shard["steps"][-1]["with"]["path"]
    assert kept == OUT == report["steps"][-3]["with"]["path"]
    (step,) = [step for step in report["steps"] if step.get("name") == "Report"]
    shell(folder, [*bash, step["run"]])
    shards = [f"{OUT}/shard-{n}-of-{COUNT}" for n in range(1, COUNT + 1)]
    assert called(folder) == [["report", *shards, "--out", f"{OUT}/report"]]
    assert report["steps"][-1]["with"]["path"] == f"{OUT}/report"


@pytest.mark.parametrize("scheduler", jobs.TEMPLATES)
def test_a_job_has_a_folder_of_its_own_by_default(
    scheduler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is in results/ of the repository, in which the job runs."""
    assert not run_bench.main(
        ["run", "quick", "--write-job", scheduler, "--shards", "3"]
    )
    text = capsys.readouterr().out
    assert re.search(r"[ =]results/quick-\d{8}-\d{6}/shard-", text)
    assert str(ROOT) not in text and not re.search("@[A-Z]", text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--write-job", "slurm"],
            "A sweep on several machines needs --shards, their number, and either "
            "--write-job (kubernetes, github, slurm) or --on (slurm), which takes "
            "--sbatch. To run one part of a sweep here, use --shard i/n.",
        ),
        (["--shards", "3"], "A sweep on several machines needs --shards, "),
        (["--sbatch", "time=5"], "A sweep on several machines needs --shards, "),
        (
            ["--shards", "3", "--on", "slurm", "--write-job", "slurm"],
            "A sweep on several machines needs --shards, ",
        ),
        (
            ["--write-job", "slurm", "--shards", "4"],
            "This sweep has 3 workloads, which is too few for 4 shards: ",
        ),
        (
            ["--write-job", "slurm", "--shards", "3", "--shard", "1/3"],
            "--write-job takes a whole sweep: leave --shard out.",
        ),
        (
            ["--write-job", "slurm", "--shards", "3", "--json"],
            "--write-job takes a whole sweep: leave --json out.",
        ),
        (
            ["--write-job", "slurm", "--shards", "3", "--out", "a\nb"],
            "A job's file takes one line for a command, got 'a\\nb'. Leave out "
            "characters that are not printable.",
        ),
    ],
)
def test_bad_use_gets_a_sentence(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_bench.main(["run", "quick", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(f"error: {message}")


def test_every_template_is_valid_for_json_like_names() -> None:
    """A result folder may have a quote in its name."""
    out = 'a "b" \\c'
    options = run_bench.parsed(["run", "quick", "--shards", "1", "--out", out])
    job = yaml.safe_load(jobs.write("kubernetes", options, "quick"))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["volumeMounts"][0]["mountPath"] == f"/feedrate/{out}"
    assert json.dumps(out) in jobs.write("github", options, "quick")
