import json
import types

from bench import machine
from bench.commands import doctor

LOG = """\
2026-01-01 W gpu_device.cc:2342] Cannot dlopen some GPU libraries.
2026-01-01 W dso_loader.cc:60] Could not load dynamic library 'libcudnn.so.9'
something else
"""


def _answers(monkeypatch, answer):
    asked = types.SimpleNamespace(run=lambda *arguments, **options: answer)
    monkeypatch.setattr(doctor, "subprocess", asked)


def test_names_the_library_that_keeps_tensorflow_from_the_gpu():
    remedy = doctor.missing_libraries(LOG, built_with_cuda=True)
    assert remedy == (
        "install requirements-gpu.txt; what could not be loaded: "
        "2026-01-01 W gpu_device.cc:2342] Cannot dlopen some GPU libraries. | "
        "2026-01-01 W dso_loader.cc:60] Could not load dynamic library "
        "'libcudnn.so.9'"
    )


def test_says_when_tensorflow_is_built_without_cuda():
    assert doctor.missing_libraries("", built_with_cuda=False) == (
        "this TensorFlow is built without CUDA: install requirements-gpu.txt."
    )


def test_a_gpu_that_tensorflow_cannot_use_is_unfit(monkeypatch):
    answer = types.SimpleNamespace(
        stdout='noise FOUND{"built": true, "gpus": []}', stderr=LOG
    )
    _answers(monkeypatch, answer)
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA H100, 580.1"])
    gpu = doctor.tensorflow_sees()[-1]
    assert gpu.name == "GPU"
    assert not gpu.fit
    assert gpu.found == "driver sees NVIDIA H100, 580.1; TensorFlow sees none"


def test_without_a_gpu_nothing_is_unfit_and_it_says_so(monkeypatch):
    answer = types.SimpleNamespace(
        stdout='FOUND{"built": false, "gpus": []}', stderr=""
    )
    _answers(monkeypatch, answer)
    monkeypatch.setattr(machine, "gpus", list)
    gpu = doctor.tensorflow_sees()[-1]
    assert gpu.fit
    assert "not testable here" in gpu.found


def test_a_tensorflow_that_does_not_start_is_unfit(monkeypatch):
    answer = types.SimpleNamespace(stdout="", stderr="x\nImportError: no libc")
    _answers(monkeypatch, answer)
    (finding,) = doctor.tensorflow_sees()
    assert not finding.fit
    assert finding.found.endswith("does not start: ImportError: no libc")
    assert finding.remedy == "install again: rm -r .venv, then make bench."


def test_exit_code_and_json_tell_whether_the_machine_is_fit(monkeypatch, capsys):
    fit = doctor.Finding("processor", "one", True)
    unfit = doctor.Finding("governor", "powersave", False, "set performance")
    monkeypatch.setattr(doctor, "tensorflow_sees", lambda: [fit])
    monkeypatch.setattr(doctor, "examine", lambda: [fit])
    assert doctor.report(as_json=False) == 0
    monkeypatch.setattr(doctor, "examine", lambda: [unfit])
    assert doctor.report(as_json=False) == 1
    assert "! governor: set performance" in capsys.readouterr().out
    doctor.report(as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told[0]["remedy"] == "set performance"


def test_a_governor_that_is_not_told_is_unknown(monkeypatch, capsys):
    told = {**machine.fingerprint(), "governor": ""}
    monkeypatch.setattr(machine, "fingerprint", lambda: told)
    governor = next(f for f in doctor.examine(seconds=0.01) if f.name == "governor")
    assert governor.found == "not told by this system"
    assert governor.fit is None
    monkeypatch.setattr(doctor, "tensorflow_sees", list)
    monkeypatch.setattr(doctor, "examine", lambda: [governor])
    assert doctor.report(as_json=False) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert words == "looked at found unknown governor not told by this system"


def test_examines_this_machine_quickly():
    findings = {finding.name: finding for finding in doctor.examine(seconds=0.05)}
    assert set(findings) == {
        "processor",
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
