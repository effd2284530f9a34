"""What the demo does, act by act, and what it expects of each (times: RFC 3768 section 6.1)."""

import contextlib
import time
from collections.abc import Callable

from keepvip.admin.client import AdminClient, AnswerError, UnreachableError
from keepvip.lab.configs import down_interval_s, skew_s
from keepvip.lab.daemons import Daemon, Keepvip
from keepvip.lab.decode import Advert
from keepvip.lab.demo.expectations import Verdict
from keepvip.lab.demo.files import main_job
from keepvip.lab.errors import LabTimeoutError
from keepvip.lab.mail import MailServer
from keepvip.lab.measure import Takeover, measure_takeover
from keepvip.lab.node import Node
from keepvip.lab.pair import Pair
from keepvip.lab.ping import Pinger
from keepvip.lab.timeline import Timeline
from keepvip.lab.waiting import wait_until
from keepvip.lab.watch import AddressWatch, Change

INSTANCES = {(50, "ext"): "RH_EXT", (2, "int"): "RH_INT"}
VIPS = {50: "10.0.0.1", 2: "192.168.1.1"}
BACKUP_PRIORITY = 99
ADVERT_INT_S = 1.0
TOLERANCE_S = 0.05  # for a machine that does other things as well; benches/takeover.py measures what we add
PING_INTERVAL_MS = 10.0
BATCH_DELAY_S = 5.0  # keepalived's default garp_master_delay


class Scenario:
    """Plays the demo on a network. Facts go to the timeline, expectations to the verdict."""

    def __init__(self, pair: Pair, timeline: Timeline, daemon_kind: type[Daemon] = Keepvip) -> None:
        self.pair = pair
        self.timeline = timeline
        self.verdict = Verdict()
        self.a = daemon_kind(pair.a, main_job("master"))
        self.b = daemon_kind(pair.b, main_job("backup"))
        self.pingers: dict[str, Pinger] = {}
        self._asks = daemon_kind is Keepvip
        self._watches: dict[str, AddressWatch] = {}
        self._mail: MailServer | None = None
        self._quiet_since_ns = 0  # pings before it belong to acts already judged

    @property
    def daemons(self) -> dict[str, Daemon]:
        """By node name."""
        return {"a": self.a, "b": self.b}

    def play(self) -> Verdict:
        """All acts. An act whose event does not come in time is a broken expectation and ends the play."""
        with contextlib.ExitStack() as stack:
            for node in (self.pair.a, self.pair.b):
                self._watches[node.name] = node.watch_addresses(self._teller(node.name))
            self._mail = MailServer(self.pair.a, self.pair.b, on_mail=self.timeline.on_mail)
            stack.callback(self._mail.close)
            stack.callback(self._stop_pings)
            try:
                self._act_election()
                self._act_power_cut()
                self._act_return()
                self._act_cable()
                self._act_gentle_stop()
                self._act_end()
            except LabTimeoutError as error:
                self.verdict.expect("every event came in time", held=False, shown_by=str(error).splitlines()[0])
        return self.verdict

    # -- the acts ----------------------------------------------------------------------------------------------------

    def _act_election(self) -> None:
        self._act("two nodes start with the main-job configuration; one becomes master")
        process = self.a.start()
        self.b.start()
        first_ns = self._wait_group_master(self.pair.a)
        self.pingers = {vip: Pinger(self.pair.client, [vip], interval_ms=PING_INTERVAL_MS) for vip in VIPS.values()}
        self._quiet_since_ns = time.time_ns()
        self._wait_adverts("a", 3)
        others = self.pair.tap.adverts(node="b")
        self.verdict.expect(
            "node a is the one master of both instances",
            not others and not self._holds(self.pair.b),
            f"first advert {(first_ns - process.started_ns) / 1e9:.2f} s after its start, none by b",
        )
        bad = [advert for advert in self.pair.tap.adverts() if advert.errors]
        self.verdict.expect("every advert is well-formed, with password", not bad and self._all_with_password())
        self._expect_mails(self.pair.a, "MASTER")

    def _act_power_cut(self) -> None:
        self._act("node a loses its power: kill -9, cables dead")
        since_ns = time.time_ns()
        self.pair.ext.cut(self.pair.a)
        self.pair.int.cut(self.pair.a)
        self.a.crash()
        takeovers = self._takeovers("a", self.pair.b, since_ns)
        self._judge_takeover("kill -9", takeovers, down_interval_s(BACKUP_PRIORITY))
        self._tell_why(self.pair.b)
        master_ns = min(takeover.first_advert_ns for takeover in takeovers.values())
        for vip in VIPS.values():
            self.pair.tap.wait_garp("b", vip, count=10, timeout_s=BATCH_DELAY_S + 2, since_ns=since_ns)
        times_s = [(garp.at_ns - master_ns) / 1e9 for garp in self.pair.tap.garps("10.0.0.1", node="b")]
        self.verdict.expect(
            "gratuitous ARPs: 5 at once, 5 after 5 s",
            len(times_s) == 10 and times_s[4] < TOLERANCE_S and abs(times_s[5] - BATCH_DELAY_S) < TOLERANCE_S,
            f"{len(times_s)} seen, the second batch after {times_s[5]:.2f} s",
        )
        self._judge_pings("the dead master", down_interval_s(BACKUP_PRIORITY) + TOLERANCE_S)
        self._expect_mails(self.pair.b, "MASTER")

    def _act_return(self) -> None:
        self._act("node a gets its power back; its kernel still has the addresses of the killed daemon")
        since_ns = time.time_ns()
        left = self._holds(self.pair.a)
        self.a.start()
        self.pair.ext.heal()
        self.pair.int.heal()
        removed = [
            self._watches["a"].wait_address(vip, added=False, timeout_s=5, since_ns=since_ns) for vip in VIPS.values()
        ]
        first_ns = self._wait_group_master(self.pair.a, since_ns=since_ns)
        self.verdict.expect(
            "the leftovers are removed before the first advert",
            len(left) == 2 and all(change.at_ns < first_ns for change in removed),
            f"{(max(change.at_ns for change in removed) - since_ns) / 1e6:.0f} ms after the start",
        )
        self._wait_released(self.pair.b)
        self._wait_adverts("a", 3)
        late = [advert for advert in self.pair.tap.adverts(node="b") if advert.at_ns > first_ns + 1_000_000_000]
        self.verdict.expect(
            "node a preempts, node b yields without a word",
            not late and self.pair.tap.adverts(node="b")[-1].priority == BACKUP_PRIORITY,
            f"after {(first_ns - since_ns) / 1e9:.2f} s",
        )
        self._judge_pings("the return", TOLERANCE_S)

    def _act_cable(self) -> None:
        self._act("somebody pulls the inner cable of node a: the whole group moves")
        since_ns = time.time_ns()
        self.pair.int.unplug(self.pair.a)
        takeovers = self._takeovers("a", self.pair.b, since_ns)
        self._wait_released(self.pair.a)
        # The outer member's master said goodbye; the group waits for the member whose master fell silent.
        self._judge_takeover("cable", {2: takeovers[2]}, down_interval_s(BACKUP_PRIORITY))
        apart_ms = abs(takeovers[50].first_advert_ns - takeovers[2].first_advert_ns) / 1e6
        self.verdict.expect("both instances move together", apart_ms < TOLERANCE_S * 1000, f"{apart_ms:.1f} ms apart")
        self._judge_pings("the cable", down_interval_s(BACKUP_PRIORITY) + TOLERANCE_S)
        self._act("the cable is back")
        since_ns = time.time_ns()
        self.pair.int.plug(self.pair.a)
        self._wait_group_master(self.pair.a, since_ns=since_ns)
        self._wait_released(self.pair.b)
        self._wait_adverts("a", 2)
        self._judge_pings("the return of the cable", TOLERANCE_S)

    def _act_gentle_stop(self) -> None:
        self._act("node a is stopped gently: SIGTERM")
        since_ns = time.time_ns()
        self.a.process.signal(15)
        takeovers = self._takeovers("a", self.pair.b, since_ns)
        status = self.a.process.wait(10)
        goodbyes = [advert for advert in self.pair.tap.adverts(node="a", since_ns=since_ns) if advert.priority == 0]
        self.verdict.expect(
            "it says goodbye (priority 0), takes its addresses along and exits with 0",
            {advert.vrid for advert in goodbyes} == set(VIPS) and status == 0 and not self._holds(self.pair.a),
        )
        self._judge_takeover("SIGTERM", takeovers, skew_s(BACKUP_PRIORITY))
        self._wait_adverts("b", 2)
        self._judge_pings("the stop", skew_s(BACKUP_PRIORITY) + TOLERANCE_S)
        self._expect_mails(self.pair.b, "MASTER", count=3)

    def _act_end(self) -> None:
        self._act("the end: node b stops, too")
        self._stop_pings()
        status = self.b.stop()
        self.verdict.expect("nothing is left behind", status == 0 and not self._holds(self.pair.b))
        self.verdict.expect("the tap missed nothing", self.pair.tap.lost == 0, f"{len(self.pair.tap.packets)} frames")

    # -- judging -----------------------------------------------------------------------------------------------------

    def _judge_takeover(self, cause: str, takeovers: dict[int, Takeover], protocol_s: float) -> None:
        """The group moves when its last member may: the protocol's time counts from the latest last advert."""
        start_ns = max(takeover.last_advert_ns for takeover in takeovers.values())
        advert_s = (max(takeover.first_advert_ns for takeover in takeovers.values()) - start_ns) / 1e9
        complete_s = (max(takeover.first_announcement_ns for takeover in takeovers.values()) - start_ns) / 1e9
        shown_by = (
            f"{complete_s * 1000:.1f} ms with address and gratuitous ARP; the protocol's own {protocol_s * 1000:.1f} ms"
            f" {(complete_s - protocol_s) * 1000:+.1f} ms"
        )
        self.timeline.add("measure", f"takeover after {cause}: {shown_by}", node="b")
        self.verdict.expect(
            f"takeover after {cause} in the protocol's own time",
            protocol_s - 0.01 <= advert_s and complete_s <= protocol_s + TOLERANCE_S,
            shown_by,
        )

    def _judge_pings(self, cause: str, longest_s: float) -> None:
        """No address is silent for longer than that since the last judgement."""
        now_ns = time.time_ns()
        found = []
        for vip, pinger in self.pingers.items():
            outages = pinger.outages(vip, since_ns=self._quiet_since_ns, until_ns=now_ns)
            lost = sum(outage.lost for outage in outages)
            longest_ms = max((outage.duration_ms for outage in outages), default=0.0)
            found.append((vip, lost, longest_ms))
        self._quiet_since_ns = now_ns
        self.verdict.expect(
            f"{cause} costs the client no more than that" if longest_s > 0.1 else f"{cause} costs the client nothing",
            all(longest_ms <= longest_s * 1000 + 3 * PING_INTERVAL_MS for _, _, longest_ms in found),
            ", ".join(f"{vip}: {lost} pings lost in {longest_ms / 1000:.2f} s" for vip, lost, longest_ms in found),
        )

    def _expect_mails(self, node: Node, state: str, *, count: int = 1) -> None:
        assert self._mail is not None
        mail_server = self._mail
        wanted = [f"Instance {name} - Entering {state} state" for name in INSTANCES.values()]
        wanted.append(f"Group VG1 - Entering {state} state")

        def arrived(text: str) -> int:
            return sum(text in subject for subject in mail_server.subjects(node.name))

        with contextlib.suppress(LabTimeoutError):
            wait_until(
                lambda: all(arrived(text) >= count for text in wanted), timeout_s=5, what=f"mails of {node.name}"
            )
        self.verdict.expect(
            f"node {node.name} mails that it is {state}",
            all(arrived(text) >= count for text in wanted),
            f"{len(mail_server.subjects(node.name))} mails from {node.name}",
        )

    def _tell_why(self, node: Node) -> None:
        """The daemon's own words, if it has any."""
        if not self._asks:
            return
        client = AdminClient(str(node.run_directory / "keepvip" / "keepvip.sock"))
        try:
            answers = {name: client.get("/v1/why", name=name, limit=1) for name in INSTANCES.values()}
        except (UnreachableError, AnswerError) as error:
            self.verdict.expect("the daemon answers why", held=False, shown_by=str(error))
            return
        for name, answer in answers.items():
            for transition in answer["transitions"]:
                self.timeline.add("note", f'keepvip why {name}: "{transition["why"]}"', node=node.name)
        reasons = {t["reason"] for answer in answers.values() for t in answer["transitions"]}
        self.verdict.expect("the daemon knows why", "master_down" in reasons, ", ".join(sorted(reasons)))

    # -- waiting -----------------------------------------------------------------------------------------------------

    def _wait_group_master(self, node: Node, *, since_ns: int = 0) -> int:
        """Until a node advertises both instances and has both addresses; the time of its first advert."""
        firsts = [
            self.pair.tap.wait_advert(
                node.name, vrid, timeout_s=12, since_ns=since_ns, wanted=lambda advert: advert.priority
            )
            for vrid in VIPS
        ]
        wait_until(lambda: len(self._holds(node)) == 2, timeout_s=2, what=f"both addresses on {node.name}")
        return min(first.at_ns for first in firsts)

    def _wait_released(self, node: Node) -> None:
        wait_until(lambda: not self._holds(node), timeout_s=5, what=f"the addresses to leave {node.name}")

    def _wait_adverts(self, node: str, count: int) -> None:
        self.pair.tap.wait_count(
            Advert,
            lambda advert: advert.node == node and advert.vrid == 50,
            count,
            timeout_s=(count + 2) * ADVERT_INT_S,
            since_ns=time.time_ns(),
        )

    def _takeovers(self, old: str, new: Node, since_ns: int) -> dict[int, Takeover]:
        return {
            vrid: measure_takeover(
                self.pair.tap,
                self._watches[new.name],
                old=old,
                new=new.name,
                vrid=vrid,
                address=vip,
                since_ns=since_ns,
                timeout_s=10,
            )
            for vrid, vip in VIPS.items()
        }

    def _holds(self, node: Node) -> set[str]:
        return node.addresses() & set(VIPS.values())

    def _all_with_password(self) -> bool:
        return all((a.auth_type, a.auth_data) == (1, b"passw123") for a in self.pair.tap.adverts())

    def _teller(self, node: str) -> Callable[[Change], None]:
        return lambda change: self.timeline.on_change(node, change, set(VIPS.values()))

    def _stop_pings(self) -> None:
        pingers, self.pingers = self.pingers, {}
        for pinger in pingers.values():
            pinger.stop()

    def _act(self, text: str) -> None:
        self.timeline.add("act", text)
