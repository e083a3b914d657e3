"""The checks of the verb `doctor`, on this machine and on made-up ones."""

import json
import types

from bench import machine
from bench.commands import doctor

LOG = """\
2026-01-01 W gpu_device.cc:2342] Cannot dlopen some GPU libraries.
2026-01-01 W dso_loader.cc:60] Could not load dynamic library 'libcudnn.so.9'
something else
"""


def set_answer(monkeypatch, answer):
    """Let the process that asks TensorFlow return this answer."""
    fake = types.SimpleNamespace(run=lambda *arguments, **options: answer)
    monkeypatch.setattr(doctor, "subprocess", fake)


def test_the_remedy_names_the_library_that_tensorflow_lacks():
    remedy = doctor.missing_libraries(LOG, built_with_cuda=True)
    assert remedy == (
        "install requirements-gpu.txt; not loaded: "
        "2026-01-01 W gpu_device.cc:2342] Cannot dlopen some GPU libraries. | "
        "2026-01-01 W dso_loader.cc:60] Could not load dynamic library "
        "'libcudnn.so.9'"
    )


def test_the_remedy_for_a_tensorflow_without_cuda():
    assert doctor.missing_libraries("", built_with_cuda=False) == (
        "this TensorFlow is built without CUDA: install requirements-gpu.txt."
    )


def test_a_gpu_that_tensorflow_cannot_use_is_unfit(monkeypatch):
    answer = types.SimpleNamespace(
        stdout='noise DEVICES{"built": true, "gpus": []}', stderr=LOG
    )
    set_answer(monkeypatch, answer)
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA H100, 580.1"])
    gpu = doctor.tensorflow_sees()[-1]
    assert gpu.name == "GPU"
    assert not gpu.fit
    assert gpu.found == "driver sees NVIDIA H100, 580.1; TensorFlow sees none"


def test_a_machine_without_a_gpu_passes(monkeypatch):
    answer = types.SimpleNamespace(
        stdout='DEVICES{"built": false, "gpus": []}', stderr=""
    )
    set_answer(monkeypatch, answer)
    monkeypatch.setattr(machine, "gpus", list)
    gpu = doctor.tensorflow_sees()[-1]
    assert gpu.fit
    assert "not testable here" in gpu.found


def test_a_tensorflow_that_does_not_start_is_unfit(monkeypatch):
    answer = types.SimpleNamespace(stdout="", stderr="x\nImportError: no libc")
    set_answer(monkeypatch, answer)
    (finding,) = doctor.tensorflow_sees()
    assert not finding.fit
    assert finding.found.endswith("does not start: ImportError: no libc")
    assert finding.remedy == "install again: rm -r .venv, then make bench."


def test_exit_code_and_json_have_the_result(monkeypatch, capsys):
    fit = doctor.Finding("processor", "one", True)
    unfit = doctor.Finding("governor", "powersave", False, "set performance")
    monkeypatch.setattr(doctor, "tensorflow_sees", lambda: [fit])
    monkeypatch.setattr(doctor, "examine", lambda: [fit])
    assert doctor.report(as_json=False) == 0
    monkeypatch.setattr(doctor, "examine", lambda: [unfit])
    assert doctor.report(as_json=False) == 1
    assert "! governor: set performance" in capsys.readouterr().out
    doctor.report(as_json=True)
    findings = json.loads(capsys.readouterr().out)
    assert findings[0]["remedy"] == "set performance"


def test_a_governor_that_is_not_reported_is_unknown(monkeypatch, capsys):
    facts = {**machine.fingerprint(), "governor": ""}
    monkeypatch.setattr(machine, "fingerprint", lambda: facts)
    governor = next(f for f in doctor.examine(seconds=0.01) if f.name == "governor")
    assert governor.found == "not reported by this system"
    assert governor.fit is None
    monkeypatch.setattr(doctor, "tensorflow_sees", list)
    monkeypatch.setattr(doctor, "examine", lambda: [governor])
    assert doctor.report(as_json=False) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert words == "check result unknown governor not reported by this system"


def test_this_machine_is_examined_quickly():
    findings = {finding.name: finding for finding in doctor.examine(seconds=0.05)}
    assert set(findings) == {
        "processor",
        "limits of a container",
        "other processes",
        "stolen by other machines",
        "evenness",
        "governor",
        "free memory",
        "free disk",
    }
    assert all(
        finding.fit is not False or finding.remedy for finding in findings.values()
    )


def test_a_quota_is_unfit_and_a_memory_limit_is_only_shown(monkeypatch):
    facts = {**machine.fingerprint(), "cpu_limit": 1.5, "memory_limit_bytes": 2**31}
    monkeypatch.setattr(machine, "fingerprint", lambda: facts)
    shown = {finding.name: finding for finding in doctor.examine(seconds=0.01)}
    limits = shown["limits of a container"]
    assert limits.found == "quota of 1.5 CPUs, memory limit of 2 GiB"
    assert limits.fit is False and "--cpuset-cpus" in limits.remedy
    facts |= {"cpu_limit": None}
    shown = {finding.name: finding for finding in doctor.examine(seconds=0.01)}
    limits = shown["limits of a container"]
    assert (limits.found, limits.fit) == ("memory limit of 2 GiB", True)
    facts |= {"memory_limit_bytes": None}
    shown = {finding.name: finding for finding in doctor.examine(seconds=0.01)}
    assert shown["limits of a container"].found == "none"


def test_the_memory_that_a_container_leaves_is_what_is_free(monkeypatch):
    monkeypatch.setattr(machine, "available_memory", lambda: 2**30)
    shown = {finding.name: finding for finding in doctor.examine(seconds=0.01)}
    assert shown["free memory"].found == "1.0 GiB"
    assert shown["free memory"].fit is False
