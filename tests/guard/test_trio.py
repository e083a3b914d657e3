"""What a trio is told as when one of its processes never comes to its turns."""

import factory
import msgspec
import pytest

from bench.guard import trio
from bench.run.protocol import Outcome
from bench.trial import Effort, Failure, Measured

DISMISSED = Failure(type="Dismissed", message="no turns", phase="build")
OWN = Failure(type="ValueError", message="no layers today", phase="adapt")


class Server:
    """Processes of which none ever comes to its socket."""

    def __init__(self, error: Failure, ended: bool) -> None:
        self.error, self.has_ended, self.starts = error, ended, 0

    def start(self) -> None:
        self.starts += 1

    def begin(self, *asked: object) -> object:
        return object()

    def ended(self, begun: object) -> bool:
        return self.has_ended

    def finish(self, begun: object, effort: Effort) -> Outcome:
        return Outcome(msgspec.json.encode(Measured(error=self.error)), None, 0.1)


@pytest.mark.parametrize(
    ("error", "ended", "told"),
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
def test_who_is_late_is_named_with_its_limit_and_who_failed_with_its_error(
    error: Failure, ended: bool, told: Failure
) -> None:
    side = trio.Side(Server(error, ended), factory.trial())
    effort = Effort(limit_seconds=0.05)
    found = trio.trio(side, side, effort, seconds=0.1, seed=0, number=0)
    assert found.turns == []
    assert found.failures["base"] == told


def test_servers_begin_anew_for_each_trio_where_there_are_several() -> None:
    """Else what one of them drew when it started would be in every trio alike."""
    base, control, head = servers = [Server(OWN, ended=True) for _ in range(3)]
    of_base = trio.Side(base, factory.trial(), control=control)
    of_head = trio.Side(head, factory.trial())
    for number in range(2):
        trio.trio(of_base, of_head, Effort(), seconds=0.1, seed=0, number=number)
    assert [server.starts for server in servers] == [2, 2, 2]
    shared = trio.Side(head, factory.trial(), control=head)
    trio.trio(shared, of_head, Effort(), seconds=0.1, seed=0, number=0)
    assert head.starts == 2


@pytest.mark.parametrize("phases", [True, False])
def test_processes_get_ready_one_after_another_where_phases_are_judged(
    phases: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else all at once; whoever ends before its turn holds up nobody."""
    events: list[str] = []
    arrived = trio.turns.Caller.arrived

    def waits(caller: object, *given: object) -> bool:
        events.append("wait")
        return arrived(caller, *given)

    class Noted(Server):
        def begin(self, *asked: object) -> object:
            events.append("begin")
            return super().begin(*asked)

    monkeypatch.setattr(trio.turns.Caller, "arrived", waits)
    side = trio.Side(Noted(OWN, ended=True), factory.trial())
    effort = Effort(phases=phases)
    found = trio.trio(side, side, effort, seconds=0.1, seed=0, number=0)
    assert set(found.failures) == set(trio.ROLES)
    one, every = ["begin", "wait"], ["begin"] * 3 + ["wait"]
    assert events == (one * 3 if phases else every)
