"""The pool of servers: keepalived's rules by example, and any history against a model that has no memory."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepvip import _ipvs_abi as abi
from keepvip.config.model_check import Checker
from keepvip.config.model_service import (
    Balancing,
    CheckerKey,
    Entry,
    Forwarding,
    RealServer,
    SorryServer,
    VirtualServer,
    checker_keys,
)
from keepvip.ipvs.override import Override
from keepvip.ipvs.pool import Pool
from keepvip.ipvs.table import part_of
from keepvip.service_event import CheckMail, CheckResult, QuorumChange, ServerChange, ServiceEvent, WeightChange


def server(number: int, *checkers: Checker, **fields: Any) -> RealServer:
    return RealServer(address=f"10.2.0.{number}", port=80, family=4, name=f"rs{number}", checkers=checkers, **fields)


def service(*servers: RealServer, **fields: Any) -> VirtualServer:
    entry = Entry(family=4, first="10.0.0.1", last="10.0.0.1", port=80)
    return VirtualServer(
        kind="address", family=4, entries=(entry,), protocol="tcp", name="vs", real_servers=servers, **fields
    )


class Tcp(Checker, frozen=True):
    kind: ClassVar[str] = "TCP_CHECK"

    @property
    def identity(self) -> tuple[Any, ...]:
        return (self.kind,)


class Misc(Tcp, frozen=True):
    kind: ClassVar[str] = "MISC_CHECK"


class Http(Tcp, frozen=True):
    kind: ClassVar[str] = "HTTP_GET"


SORRY = SorryServer(address="10.2.0.99", port=80, family=4, name="sorry")
TCP = Tcp()
ALPHA = Tcp(alpha=True)


def started(spec: VirtualServer, **balancing: Any) -> tuple[Pool, list[ServiceEvent]]:
    pool = Pool()
    return pool, pool.configure([spec], Balancing(**balancing))


def key(spec: VirtualServer, number: int, at: int = 0) -> CheckerKey:
    found = next(one for one in spec.real_servers if one.address == f"10.2.0.{number}")
    return list(checker_keys(spec, found))[at][0]


def tell(pool: Pool, at: CheckerKey, *, up: bool, delta: int = 0, mail: str = "m") -> list[ServiceEvent]:
    return pool.result(CheckResult(key=at, up=up, reason="because", mail=mail, weight_delta=delta))


def weights(pool: Pool, spec: VirtualServer) -> dict[str, int]:
    """Address → weight in the kernel."""
    part = part_of(pool.services[spec.key])
    (found,) = part.values()
    return {".".join(map(str, at[1])): destination[4] for at, destination in found.destinations.items()}


def short(events: list[ServiceEvent]) -> list[str]:
    words = []
    for event in events:
        match event:
            case ServerChange():
                words.append(f"{event.server.name} {'up' if event.up else 'down'}{'' if event.log else ' (told)'}")
            case QuorumChange():
                words.append(f"quorum {'up' if event.up else 'down'}{' at start' if event.start else ''}")
            case WeightChange():
                words.append(f"{event.server.name} weight {event.old}>{event.new}")
            case CheckMail():
                words.append(f"mail {'up' if event.up else 'down'}")
    return words


def test_servers_are_up_before_they_are_checked() -> None:
    spec = service(server(1, TCP), server(2, TCP))
    pool, events = started(spec)
    assert short(events) == ["quorum up at start"]
    assert weights(pool, spec) == {"10.2.0.1": 1, "10.2.0.2": 1}
    assert tell(pool, key(spec, 1), up=True) == []  # a first success is no news
    assert short(tell(pool, key(spec, 2), up=False)) == ["rs2 down", "mail down"]
    assert weights(pool, spec) == {"10.2.0.1": 1}
    assert short(tell(pool, key(spec, 2), up=True)) == ["rs2 up", "mail up"]


def test_alpha_is_down_until_checked() -> None:
    spec = service(server(1, ALPHA), server(2, ALPHA), sorry=SORRY)
    pool, events = started(spec)
    assert short(events) == ["quorum down at start"]
    assert weights(pool, spec) == {"10.2.0.99": 1}
    assert short(tell(pool, key(spec, 1), up=False)) == ["rs1 down (told)"]  # once, though nothing changed
    assert tell(pool, key(spec, 1), up=False) == []
    assert short(tell(pool, key(spec, 2), up=True)) == ["rs2 up", "quorum up", "mail up"]
    assert weights(pool, spec) == {"10.2.0.2": 1}


def test_a_web_checker_keeps_its_first_failure_to_itself() -> None:
    spec = service(server(1, Http(alpha=True)))
    pool, events = started(spec)
    assert events == []  # without a sorry server nothing is told at the start either
    assert tell(pool, key(spec, 1), up=False) == []


def test_a_server_is_down_with_its_first_failed_checker_and_up_with_the_last() -> None:
    spec = service(server(1, TCP, TCP), server(2))
    pool, _ = started(spec)
    assert short(tell(pool, key(spec, 1, 0), up=False)) == ["rs1 down", "mail down"]
    assert short(tell(pool, key(spec, 1, 1), up=False)) == ["mail down"]
    assert short(tell(pool, key(spec, 1, 0), up=True)) == ["mail up"]
    assert short(tell(pool, key(spec, 1, 1), up=True)) == ["rs1 up", "mail up"]


def test_mails_for_servers_only() -> None:
    spec = service(server(1, TCP, TCP), server(2))
    pool, _ = started(spec, checker_emails=False)
    assert short(tell(pool, key(spec, 1, 0), up=False)) == ["rs1 down", "mail down"]
    assert short(tell(pool, key(spec, 1, 1), up=False)) == []


def test_quorum_with_hysteresis() -> None:
    spec = service(*(server(number, TCP) for number in range(1, 6)), quorum=3, hysteresis=1, sorry=SORRY)
    pool, _ = started(spec)
    for number, words in ((1, []), (2, []), (3, []), (4, ["quorum down"])):
        assert short(tell(pool, key(spec, number), up=False))[1:-1] == words
    assert weights(pool, spec) == {"10.2.0.99": 1}
    for number, words in ((1, []), (2, []), (3, ["quorum up"])):
        assert short(tell(pool, key(spec, number), up=True))[1:-1] == words
    assert weights(pool, spec) == {f"10.2.0.{number}": 1 for number in (1, 2, 3, 5)}


def test_without_a_sorry_server_those_that_are_left_go_on() -> None:
    spec = service(server(1, TCP), server(2, TCP), quorum=2)
    pool, _ = started(spec)
    assert short(tell(pool, key(spec, 1), up=False)) == ["rs1 down", "quorum down", "mail down"]
    assert weights(pool, spec) == {"10.2.0.2": 1}


def test_the_texts_of_a_quorum() -> None:
    spec = service(server(1, TCP), server(2, TCP), quorum=2)
    pool, _ = started(spec)
    lost = [event for event in tell(pool, key(spec, 1), up=False) if isinstance(event, QuorumChange)]
    gained = [event for event in tell(pool, key(spec, 1), up=True) if isinstance(event, QuorumChange)]
    assert [lost[0].text, gained[0].text] == ["Lost quorum 2-0=2 > 1", "Gained quorum 2+0=2 <= 2"]


def test_inhibit_keeps_a_failed_server_with_weight_0() -> None:
    spec = service(server(1, TCP, inhibit_on_failure=True, weight=4), server(2, TCP), sorry=SORRY)
    pool, _ = started(spec)
    tell(pool, key(spec, 1), up=False)
    assert weights(pool, spec) == {"10.2.0.1": 0, "10.2.0.2": 1}
    tell(pool, key(spec, 2), up=False)
    assert weights(pool, spec) == {"10.2.0.1": 0, "10.2.0.99": 1}


def test_weights_of_checkers_add_up_and_never_fall_below_0() -> None:
    spec = service(server(1, TCP, TCP, weight=5), server(2))
    pool, _ = started(spec)
    assert short(tell(pool, key(spec, 1, 0), up=True, delta=3)) == ["rs1 weight 5>8"]
    assert short(tell(pool, key(spec, 1, 1), up=True, delta=-20)) == ["rs1 weight 8>0"]
    assert weights(pool, spec) == {"10.2.0.1": 0, "10.2.0.2": 1}


def test_an_operator_comes_first() -> None:
    spec = service(server(1, TCP, weight=5), server(2, TCP), sorry=SORRY)
    pool, _ = started(spec)
    at = (spec.key, spec.real_servers[0].key)
    assert short(pool.override(*at, Override(kind="drain", weight=0))) == ["rs1 weight 5>0"]
    assert short(tell(pool, key(spec, 1), up=True, delta=2)) == []
    assert weights(pool, spec) == {"10.2.0.1": 0, "10.2.0.2": 1}
    assert pool.configure([spec], Balancing()) == []
    assert weights(pool, spec) == {"10.2.0.1": 0, "10.2.0.2": 1}
    assert short(pool.override(*at, Override(kind="disable"))) == ["rs1 weight 0>7", "rs1 down"]
    assert short(pool.override(*at, None)) == ["rs1 up"]
    assert weights(pool, spec) == {"10.2.0.1": 7, "10.2.0.2": 1}


def test_a_reload_keeps_what_checkers_found() -> None:
    spec = service(server(1, TCP), server(2, TCP))
    pool, _ = started(spec)
    tell(pool, key(spec, 1), up=False)
    pool.changed.clear()
    assert pool.configure([spec], Balancing()) == []
    assert pool.changed == set()  # nothing differs: nothing is done
    assert [(task.up, task.first) for task in pool.tasks()] == [(False, False), (True, True)]
    heavier = service(server(1, TCP), server(2, TCP, weight=3))
    assert short(pool.configure([heavier], Balancing())) == ["rs2 weight 1>3"]
    assert weights(pool, heavier) == {"10.2.0.2": 3}


def test_a_reload_that_deletes_the_failing_checker_brings_the_server_back() -> None:
    spec = service(server(1, TCP), server(2))
    pool, _ = started(spec)
    tell(pool, key(spec, 1), up=False)
    assert short(pool.configure([service(server(1), server(2))], Balancing())) == ["rs1 up"]


def test_new_checkers_of_a_known_server() -> None:
    """Healthy: they say nothing before they ran. Failed: with alpha they have to be passed, too."""
    other = Misc(alpha=True)
    spec = service(server(1, TCP), server(2, TCP))
    pool, _ = started(spec)
    tell(pool, key(spec, 1), up=False)
    wider = service(server(1, TCP, other), server(2, TCP, other))
    assert pool.configure([wider], Balancing()) == []
    assert [task.up for task in pool.tasks()] == [False, False, True, True]


def test_what_a_reload_removes_is_told() -> None:
    spec = service(server(1, TCP), server(2, TCP))
    pool, _ = started(spec)
    assert short(pool.configure([service(server(2, TCP))], Balancing())) == ["rs1 down"]
    assert short(pool.configure([], Balancing())) == ["rs2 down", "quorum down"]
    assert pool.services == {}


def test_a_sorry_server_that_a_reload_removes_makes_room() -> None:
    spec = service(server(1, TCP), server(2, TCP), quorum=2, sorry=SORRY)
    pool, _ = started(spec)
    tell(pool, key(spec, 1), up=False)
    assert weights(pool, spec) == {"10.2.0.99": 1}
    alone = service(server(1, TCP), server(2, TCP), quorum=2)
    pool.configure([alone], Balancing())
    assert weights(pool, alone) == {"10.2.0.2": 1}


@pytest.mark.parametrize(("omega", "words"), [(False, []), (True, ["rs1 down", "quorum down"])])
def test_the_end(omega: bool, words: list[str]) -> None:
    pool, _ = started(service(server(1, TCP), omega=omega))
    assert short(pool.stop()) == words


def test_init_notifies() -> None:
    spec = service(server(1, TCP), server(2, ALPHA))
    _, events = started(spec, init_notifies=True)
    assert short(events) == ["rs1 up (told)", "quorum up at start"]


def test_a_group_is_one_service_per_address() -> None:
    entries = (
        Entry(family=4, first="10.0.0.254", last="10.0.1.1", port=80),
        Entry(family=4, fwmark=7),
    )
    spec = VirtualServer(
        kind="group", group="G", family=4, entries=entries, protocol="tcp", name="[G]:0",
        real_servers=(server(1, forwarding=Forwarding(method="DR")),),
    )  # fmt: skip
    pool, _ = started(spec)
    part = part_of(pool.services[spec.key])
    assert [key[2] for key in part] == [b"\n\0\0\xfe", b"\n\0\0\xff", b"\n\0\1\0", b"\n\0\1\1", b""]
    assert {at[2] for found in part.values() for at in found.destinations} == {80, 0}
    assert {row[3] for found in part.values() for row in found.destinations.values()} == {abi.FWD_DROUTE}


# any history


class Step(msgspec.Struct):
    kind: str
    at: int = 0
    checker: int = 0
    up: bool = True
    delta: int = 0


STEPS = st.lists(
    st.one_of(
        st.builds(
            Step,
            kind=st.just("result"),
            at=st.integers(0, 2),
            checker=st.integers(0, 1),
            up=st.booleans(),
            delta=st.integers(-3, 3),
        ),
        st.builds(Step, kind=st.sampled_from(["drain", "disable", "enable"]), at=st.integers(0, 2)),
        st.builds(Step, kind=st.just("reload")),
    ),
    max_size=25,
)
SPECS = st.builds(
    lambda weights, alphas, inhibits, quorum, hysteresis, sorry: service(
        *(
            server(
                number,
                Tcp(alpha=alpha),
                Misc(alpha=alpha),
                weight=weight,
                inhibit_on_failure=inhibit,
            )
            for number, (weight, alpha, inhibit) in enumerate(zip(weights, alphas, inhibits, strict=True), start=1)
        ),
        quorum=quorum,
        hysteresis=min(hysteresis, quorum - 1),
        sorry=SORRY if sorry else None,
    ),
    st.tuples(*[st.integers(0, 3)] * 3),
    st.tuples(*[st.booleans()] * 3),
    st.tuples(*[st.booleans()] * 3),
    st.integers(1, 6),
    st.integers(0, 3),
    st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(spec=SPECS, steps=STEPS)
def test_any_history_ends_as_the_facts_say(spec: VirtualServer, steps: list[Step]) -> None:
    """The model knows only the last result of each checker and the last wish; the quorum alone has a history."""
    pool, told = started(spec)
    results = {at: (not checker.alpha, 0) for one in spec.real_servers for at, checker in checker_keys(spec, one)}
    wishes: dict[int, str] = {}

    def alive(number: int) -> bool:
        one = spec.real_servers[number]
        return wishes.get(number) != "disable" and all(results[at][0] for at, _ in checker_keys(spec, one))

    def weight(number: int) -> int:
        one = spec.real_servers[number]
        if wishes.get(number) == "drain":
            return 0
        return max(0, one.weight + sum(results[at][1] for at, _ in checker_keys(spec, one)))

    def live() -> int:
        return sum(weight(number) for number in range(3) if alive(number))

    quorum = live() >= spec.quorum + spec.hysteresis
    assert pool.services[spec.key].quorum_up == quorum
    for step in steps:
        was, before = [alive(number) for number in range(3)], quorum
        if step.kind == "result":
            at = list(checker_keys(spec, spec.real_servers[step.at]))[step.checker][0]
            results[at] = (step.up, step.delta)
            told = tell(pool, at, up=step.up, delta=step.delta)
        elif step.kind == "reload":
            told = pool.configure([spec], Balancing())
            assert told == []
        else:
            wish = {"drain": Override(kind="drain", weight=0), "disable": Override(kind="disable")}.get(step.kind)
            wishes[step.at] = step.kind
            told = pool.override(spec.key, spec.real_servers[step.at].key, wish)
        if quorum:
            quorum = live() > 0 and live() >= spec.quorum - spec.hysteresis
        else:
            quorum = live() >= spec.quorum + spec.hysteresis
        moved = [event for event in told if isinstance(event, ServerChange) and event.log]
        assert len(moved) == sum(now != then for now, then in zip(map(alive, range(3)), was, strict=True))
        assert [event.up for event in told if isinstance(event, QuorumChange)] == ([quorum] if quorum != before else [])
        state = pool.services[spec.key]
        assert (state.live_weight, state.quorum_up) == (live(), quorum)
        sorry = not quorum and spec.sorry is not None
        expected = {
            one.address: weight(number) if alive(number) and not sorry else 0
            for number, one in enumerate(spec.real_servers)
            if (alive(number) and not sorry) or one.inhibit_on_failure
        }
        if sorry:
            expected["10.2.0.99"] = 1
        assert weights(pool, spec) == expected
