"""One script: how it is started, what it finds, and how its end is told."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from keepvip.script.command import Command, Identity
from keepvip.script.runner import Ending, Outcome, Runner

from .tools import Scripts, alive, children, command, until

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


async def test_exit_status(runner: Runner, scripts: Scripts) -> None:
    assert (await runner.run(command(scripts.write("ok", "exit 0")), timeout_s=10)).ok
    outcome = await runner.run(command(scripts.write("bad", "exit 3")), timeout_s=10)
    assert (outcome.ending, outcome.exit_code, outcome.ok) == (Ending.EXITED, 3, False)
    assert "exit status 3 after 0." in str(outcome)


async def test_killed_by_somebody_else(runner: Runner, scripts: Scripts) -> None:
    outcome = await runner.run(command(scripts.write("x", "kill -9 $$")), timeout_s=10)
    assert (outcome.ending, outcome.signal) == (Ending.SIGNALLED, signal.SIGKILL)
    assert "killed by SIGKILL" in str(outcome)


async def test_failure_to_start_is_an_outcome(runner: Runner, scripts: Scripts) -> None:
    outcome = await runner.run(command(scripts.directory / "missing"), timeout_s=10)
    assert outcome.ending is Ending.NOT_STARTED
    assert str(outcome) == "could not be started: No such file or directory"
    outcome = await runner.run(command(scripts.write("x", "", mode=0o644)), timeout_s=10)
    assert str(outcome) == "could not be started: Permission denied"
    outcome = await runner.run(command(scripts.write("y", "", head="#!/no/such/shell\n")), timeout_s=10)
    assert outcome.ending is Ending.NOT_STARTED


async def test_command_line_beyond_all_limits(runner: Runner) -> None:
    for length in (300_000, 2_000_000):
        outcome = await runner.run(command("/bin/true", "x" * length), timeout_s=10)
        assert outcome.ending is Ending.NOT_STARTED
    assert (await runner.run(command("/bin/true"), timeout_s=10)).ok


@pytest.mark.parametrize("head", ["#!/bin/sh\n", ""], ids=["interpreter line", "through the shell"])
async def test_arguments_arrive_as_they_are(runner: Runner, scripts: Scripts, head: str) -> None:
    script = scripts.write("x", 'for word; do echo "<$word>" >> $LOG; done', head=head)
    words = ["a b", "", "'quoted'", '"', "$HOME", "*", "; false", "ünicode", "\udcff"]
    assert (await runner.run(command(script, *words), timeout_s=10)).ok
    lines = scripts.log.read_bytes().decode(errors="surrogateescape").splitlines()
    assert lines == [f"<{word}>" for word in words]


async def test_binary_runs_without_a_shell(runner: Runner) -> None:
    assert (await runner.run(command("/bin/sh", "-c", 'test "$PPID" = "$0"', "x"), timeout_s=10)).exit_code == 1
    outcome = await runner.run(command("/usr/bin/test", "-n", "$(true)"), timeout_s=10)
    assert outcome.ok, "a shell has looked at the words"


async def test_environment(runner: Runner, scripts: Scripts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IFS", ",")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("KEEPVIP_TEST", "kept")
    assert (await runner.run(command(scripts.write("x", "env >> $LOG")), timeout_s=10)).ok
    names = {line.partition("=")[0] for line in scripts.lines}
    assert {"PATH", "KEEPVIP_TEST"} <= names
    assert not {"IFS", "LD_PRELOAD", "LD_LIBRARY_PATH"} & names


async def test_descriptors_group_and_signals(runner: Runner, scripts: Scripts) -> None:
    with socket.socket() as extra:
        extra.set_inheritable(True)
        body = """
        for fd in 0 1 2 3 4 5 6 7 8 9; do
            test -e /proc/$$/fd/$fd && echo $fd $(readlink /proc/$$/fd/$fd)
        done > $LOG.fd
        cut -d' ' -f1,5 /proc/$$/stat >> $LOG
        grep -E '^Sig(Blk|Ign)' /proc/self/status >> $LOG
        """
        previous = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        try:
            assert (await runner.run(command(scripts.write("x", body)), timeout_s=10)).ok
        finally:
            signal.signal(signal.SIGUSR1, previous)
    descriptors = (scripts.directory / "log.fd").read_text().split()
    shown = dict(zip(descriptors[::2], descriptors[1::2], strict=True))
    # while the loop writes its file, the shell keeps its own standard output (1) and the script (10) elsewhere
    assert {fd: path for fd, path in shown.items() if fd in {"0", "2"}} == {"0": "/dev/null", "2": "/dev/null"}
    assert set(shown) <= {"0", "1", "2"}
    pid, group = scripts.lines[0].split()
    assert pid == group
    # Signals 32 and 33 belong to the C library, which lets nobody change them: they are as our own parent left them.
    assert {int(line.split()[1], 16) & ~(0b11 << 31) for line in scripts.lines[1:]} == {0}


@root
async def test_normal_scheduling(scripts: Scripts) -> None:
    previous = os.getpriority(os.PRIO_PROCESS, 0)
    runner = Runner()
    os.setpriority(os.PRIO_PROCESS, 0, -5)
    try:
        script = scripts.write("x", "cut -d' ' -f19,41 /proc/$$/stat >> $LOG")
        assert (await runner.run(command(script), timeout_s=10)).ok
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, previous)
        await runner.close()
    assert scripts.lines == ["0 0"]  # nice, SCHED_OTHER


@root
async def test_user_group_and_supplementary_groups(runner: Runner, scripts: Scripts) -> None:
    script = scripts.write("x", "echo $(id -u) $(id -g) $(id -G) >> $LOG")

    def as_user(groups: tuple[int, ...]) -> Command:
        identity = Identity(uid=65534, gid=12345, groups=groups, switch=True)
        return Command(path=str(script), argv=(str(script),), text="x", identity=identity)

    assert (await runner.run(as_user(()), timeout_s=10)).ok
    assert (await runner.run(as_user((5, 12345)), timeout_s=10)).ok
    assert scripts.lines == ["65534 12345 12345", "65534 12345 12345 5"]


async def test_umask(runner: Runner, scripts: Scripts) -> None:
    runner.umask = 0o027
    script = scripts.write("x", "umask >> $LOG")
    assert (await runner.run(command(script), timeout_s=10)).ok
    assert scripts.lines == ["0027"]


async def test_time_out_ends_the_whole_tree(runner: Runner, scripts: Scripts) -> None:
    """Grandchildren in the background and processes deaf to SIGTERM included; nothing is left, not even a zombie."""
    body = """
    trap '' TERM
    (sh -c 'trap "" TERM; echo $$ >> $0; while :; do sleep 1; done' $LOG) &
    echo $$ >> $LOG
    while :; do sleep 1; done
    """
    running = await runner.start(command(scripts.write("x", body)))
    await until(lambda: len(scripts.lines) == 2)
    pids = [int(line) for line in scripts.lines]
    assert all(alive(pid) for pid in pids)
    running.end(Ending.TIMED_OUT, grace_s=0.3)
    outcome = await asyncio.wait_for(running.wait(), 10)
    assert outcome.ending is Ending.TIMED_OUT
    assert outcome.signal == signal.SIGKILL
    assert outcome.took_us >= 300_000
    assert not any(alive(pid) for pid in pids)
    assert children(runner._spawner.pid) == []


async def test_time_out_of_run(runner: Runner, scripts: Scripts) -> None:
    started = time.monotonic()
    outcome = await runner.run(command("/bin/sleep", "100"), timeout_s=0.1)
    assert outcome.ending is Ending.TIMED_OUT
    assert time.monotonic() - started < 1.5, "it obeyed SIGTERM, so nobody waits for the time of SIGKILL"
    assert str(outcome).startswith("timed out and was ended after 0.1")


async def test_the_end_is_told_only_when_nothing_is_left(runner: Runner, scripts: Scripts) -> None:
    """The script dies of SIGTERM at once, a child of it does not: its successor must not run beside that child."""
    body = """
    sh -c 'trap "" TERM; echo $$ >> $0; while :; do sleep 1; done' $LOG &
    wait
    """
    running = await runner.start(command(scripts.write("x", body)))
    await until(lambda: scripts.lines)
    child = int(scripts.lines[0])
    running.end(Ending.TIMED_OUT, grace_s=0.5)
    outcome = await asyncio.wait_for(running.wait(), 10)
    assert not alive(child)
    assert outcome.took_us >= 500_000


async def test_background_processes_of_a_script_are_left_alone(runner: Runner, scripts: Scripts) -> None:
    """A hook that starts a service ends, the service stays."""
    script = scripts.write("x", "sleep 100 & echo $! >> $LOG")
    assert (await runner.run(command(script), timeout_s=10)).ok
    child = int(scripts.lines[0])
    assert alive(child)
    os.kill(child, signal.SIGKILL)


async def test_no_zombies_after_many(runner: Runner, scripts: Scripts) -> None:
    script = scripts.write("x", "echo done >> $LOG")
    outcomes = await asyncio.gather(*(runner.run(command(script), timeout_s=30) for _ in range(100)))
    assert all(outcome.ok for outcome in outcomes)
    assert len(scripts.lines) == 100
    assert children(runner._spawner.pid) == []


async def test_cancelling_ends_the_script(runner: Runner, scripts: Scripts) -> None:
    script = scripts.write("x", "echo $$ >> $LOG; exec sleep 100")
    task = asyncio.create_task(runner.run(command(script), timeout_s=60))
    await until(lambda: scripts.lines)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not alive(int(scripts.lines[0])))


async def test_loss_of_the_starting_process(runner: Runner, scripts: Scripts, caplog: pytest.LogCaptureFixture) -> None:
    """It is killed: its scripts get SIGTERM, are told to be lost, and the next script gets a new one."""
    script = scripts.write("x", "trap 'echo term >> $LOG; exit' TERM; echo up >> $LOG; while :; do sleep 0.05; done")
    running = await runner.start(command(script))
    await until(lambda: scripts.lines)
    first = runner._spawner.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    outcome = await asyncio.wait_for(running.wait(), 10)
    assert outcome == Outcome(ending=Ending.LOST, detail="it ended")
    await until(lambda: scripts.lines == ["up", "term"])
    assert "The process that starts scripts is lost" in caplog.text
    assert (await runner.run(command("/bin/true"), timeout_s=10)).ok
    assert runner._spawner.pid != first
    await until(lambda: first not in children(os.getpid()))


async def test_a_starting_process_that_no_longer_answers(
    runner: Runner, scripts: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keepvip.script.runner.ANSWER_S", 0.1)
    running = await runner.start(command("/bin/sleep", "100"))
    assert runner._spawner.pid is not None
    os.kill(runner._spawner.pid, signal.SIGSTOP)
    running.end(Ending.TIMED_OUT, grace_s=0.1)
    outcome = await asyncio.wait_for(running.wait(), 10)
    assert (outcome.ending, outcome.detail) == (Ending.LOST, "it does not answer")
    assert (await runner.run(command("/bin/true"), timeout_s=10)).ok


async def test_no_interpreter(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/python")
    outcome = await runner.run(command("/bin/true"), timeout_s=10)
    assert outcome.ending is Ending.NOT_STARTED
    assert "the process that starts scripts cannot be started" in str(outcome)


async def test_scripts_die_with_the_daemon(scripts: Scripts) -> None:
    """kill -9 of the daemon: the script gets SIGTERM, and the starting process does not stay either."""
    script = scripts.write("x", "trap 'echo term >> $LOG; exit' TERM; echo $PPID >> $LOG; while :; do sleep 0.05; done")
    daemon = textwrap.dedent(f"""
        import asyncio, os
        from keepvip.script.command import Command, Identity
        from keepvip.script.runner import Runner
        async def main():
            identity = Identity(uid=0, gid=0, switch=False)
            await Runner().run(Command(path={str(script)!r}, argv=("x",), text="x", identity=identity), timeout_s=60)
        asyncio.run(main())
    """)
    process = subprocess.Popen([sys.executable, "-c", daemon])  # noqa: ASYNC220
    try:
        await until(lambda: scripts.lines, timeout_s=20)
    finally:
        process.kill()
        process.wait()
    starter = int(scripts.lines[0])
    await until(lambda: scripts.lines[1:] == ["term"])
    await until(lambda: not alive(starter))


def test_outcomes_read_well() -> None:
    stuck = Outcome(ending=Ending.TIMED_OUT, took_us=62_000_000, detail=", but it outlives SIGKILL")
    assert str(stuck) == "timed out and was ended after 62.000 s, but it outlives SIGKILL"
    assert str(Outcome(ending=Ending.SIGNALLED, signal=250)) == "killed by signal 250 after 0.000 s"
    assert str(Outcome(ending=Ending.LOST, detail="why")) == "lost: why"
    assert str(Outcome(ending=Ending.STOPPED, took_us=1500)) == "ended by the stop of the daemon after 0.002 s"
