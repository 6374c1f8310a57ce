"""One pair of instances: what the model says, what was really seen, and who is right."""

from __future__ import annotations

from dataclasses import dataclass

from .fabric import Fabric, Outcome, ProbeAnswer
from .topology import Topology
from .verdict import Hop, Verdict

#: What a probe may see when the model names this hop as the first obstacle.
_EXPECTED: dict[Hop, frozenset[Outcome]] = {
    Hop.NONE: frozenset({Outcome.OK, Outcome.REFUSED}),
    Hop.WHITELIST: frozenset({Outcome.NOT_WHITELISTED, Outcome.REFUSED}),
    # A connect fits into the first packets; what comes after it rarely does.
    Hop.BANDWIDTH: frozenset(
        {Outcome.OK, Outcome.REFUSED, Outcome.NOT_WHITELISTED, Outcome.TIMEOUT}
    ),
}
#: The kernel gives any of these answers for one and the same forbidden packet (measured).
_SILENCE = frozenset({Outcome.UNREACHABLE, Outcome.TIMEOUT})


@dataclass(frozen=True)
class PairReport:
    """A pair, seen twice."""

    client: str
    server: str
    model: Verdict
    seen: ProbeAnswer
    agrees: bool
    """Whether the machine did what the model says."""
    hop: Hop
    """What decided; `PORT` when the way is free and nothing listens."""
    sentence: str

    @property
    def passes(self) -> bool:
        """Whether the client can work with the server, really."""
        return self.seen.outcome is Outcome.OK and self.hop is Hop.NONE


def probe_report(
    fabric: Fabric, topology: Topology, client: str, server: str, timeout: float = 5.0
) -> PairReport:
    """Probe `server` from `client` (at most `timeout` seconds) and compare with the model.

    NetworkRefused (network.unknown) if the fabric has no such instance.
    """
    target = topology.instances[server]
    model = topology.verdict(client, server)
    seen = fabric.probe(client, target.address, target.port, timeout)
    agrees = seen.outcome in _EXPECTED.get(model.hop, _SILENCE)
    hop, sentence = model.hop, model.reason
    if agrees and seen.outcome is Outcome.REFUSED:
        hop, sentence = Hop.PORT, f"nothing listens on {target.port}"
    if not agrees:
        saw = f"{seen.outcome.value}: {seen.words}" if seen.words else seen.outcome.value
        sentence = f"the model and the machine disagree: {model.reason}, but a probe saw {saw}"
    return PairReport(client, server, model, seen, agrees, hop, sentence)
