"""Tests of a trio: its failures, its servers, and the order of its processes."""

import factory
import msgspec
import pytest

from bench.guard import trio
from bench.run.protocol import Outcome
from bench.run.turns import TurnCaller
from bench.trial import Effort, Failure, Measured

DISMISSED = Failure(type="Dismissed", message="no turns", phase="build")
OWN = Failure(type="ValueError", message="no layers today", phase="adapt")


class Server:
    """A server whose processes never come to their sockets."""

    def __init__(self, error: Failure, ended: bool) -> None:
        self.error, self.has_ended, self.starts = error, ended, 0

    def start(self) -> None:
        self.starts += 1

    def begin(self, *request: object) -> object:
        return object()

    def ended(self, begun: object) -> bool:
        return self.has_ended

    def finish(self, begun: object, effort: Effort) -> Outcome:
        return Outcome(msgspec.json.encode(Measured(error=self.error)), None, 0.1)


@pytest.mark.parametrize(
    ("error", "ended", "failure"),
    [
        (
            DISMISSED,
            False,
            Failure(
                type="Timeout",
                message="not ready for its turn within its limit of 0.05 s; raise it "
                "with --limit",
            ),
        ),
        (OWN, False, OWN),
        (OWN, True, OWN),
    ],
)
def test_a_late_process_has_its_limit_as_cause_and_a_failed_one_its_error(
    error: Failure, ended: bool, failure: Failure
) -> None:
    side = trio.Side(Server(error, ended), factory.trial())
    effort = Effort(limit_seconds=0.05)
    result = trio.run_trio(side, side, effort, seconds=0.1, seed=0, number=0)
    assert result.turns == []
    assert result.failures["base"] == failure


def test_several_servers_start_anew_for_each_trio() -> None:
    """Else the memory layout of a server would be in every trio alike."""
    base, control, head = servers = [Server(OWN, ended=True) for _ in range(3)]
    of_base = trio.Side(base, factory.trial(), control=control)
    of_head = trio.Side(head, factory.trial())
    for number in range(2):
        trio.run_trio(of_base, of_head, Effort(), seconds=0.1, seed=0, number=number)
    assert [server.starts for server in servers] == [2, 2, 2]
    shared = trio.Side(head, factory.trial(), control=head)
    trio.run_trio(shared, of_head, Effort(), seconds=0.1, seed=0, number=0)
    assert head.starts == 2


@pytest.mark.parametrize("phases", [True, False])
def test_processes_start_one_after_another_where_phases_are_judged(
    phases: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all start at once; a process that ends before its turn delays no other."""
    events: list[str] = []
    arrived = TurnCaller.arrived

    def waits(caller: TurnCaller, *arguments: object) -> bool:
        events.append("wait")
        return arrived(caller, *arguments)

    class RecordingServer(Server):
        def begin(self, *request: object) -> object:
            events.append("begin")
            return super().begin(*request)

    monkeypatch.setattr(TurnCaller, "arrived", waits)
    side = trio.Side(RecordingServer(OWN, ended=True), factory.trial())
    effort = Effort(phases=phases)
    result = trio.run_trio(side, side, effort, seconds=0.1, seed=0, number=0)
    assert set(result.failures) == set(trio.ROLES)
    one_by_one, all_at_once = ["begin", "wait"] * 3, ["begin"] * 3 + ["wait"]
    assert events == (one_by_one if phases else all_at_once)
