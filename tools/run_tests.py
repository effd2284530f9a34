"""Run every check of the project, or one group of them, and close with a summary.

    python tools/run_tests.py [rust|lint|unit|network ...]

Every step runs whatever became of the ones before; the exit status is 0 only if all of them passed. `make test` calls
it in the environment that make has built.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The binding crate holds no tests: a test binary of it would have to embed an interpreter.
CARGO_TEST = ("cargo", "test", "--locked", "--quiet")
RUST_TESTS = (*CARGO_TEST, "--workspace", "--exclude", "keepvip-py")
OTHER_MODES = ("env", "KEEPVIP_RECEIVE=wake", "KEEPVIP_SEND=packet")
STUBTEST = (
    *(sys.executable, "-m", "mypy.stubtest", "--allowlist", "tools/stubtest-allowlist.txt"),
    *("keepvip._core", "keepvip._ipvs", "keepvip._probe"),
)
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")

# Output as it comes: a test that hangs shall be seen to hang.
ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1"}

# No step takes half of it on two cores: what runs longer hangs.
LIMIT_S = 2400

CARGO_RESULT = re.compile(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored")
PYTEST_COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?|xfailed)\b")
PYTEST_CLOSING = re.compile(r"^=*\s*(?:\d+ \w+,? ?)+.* in [\d.]+s")


@dataclass
class Step:
    """One command; its counts are those of the tests that it says it has run."""

    name: str
    group: str
    command: tuple[str, ...]
    status: int | None = None
    took_s: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)

    def run(self) -> None:
        """Run the command, show its output as it comes and count the tests in it."""
        print(f"\n==> {self.name}: {' '.join(self.command)}", flush=True)
        start_s = time.monotonic()
        try:
            process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            print(error)
            self.status = 127
            return
        end = threading.Timer(LIMIT_S, self._end, [process])
        end.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                self._count(line)
            self.status = process.wait()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            end.cancel()
        self.took_s = time.monotonic() - start_s

    def _end(self, process: subprocess.Popen[str]) -> None:
        print(f"\n{self.name}: not done within {LIMIT_S} s, killed", flush=True)
        os.killpg(process.pid, signal.SIGKILL)

    def _count(self, line: str) -> None:
        if match := CARGO_RESULT.search(line):
            for name, number in zip(("passed", "failed", "skipped"), match.groups(), strict=True):
                self.counts[name] = self.counts.get(name, 0) + int(number)
        elif PYTEST_CLOSING.match(line):
            for number, word in PYTEST_COUNT.findall(line):
                name = {"error": "failed", "errors": "failed", "xfailed": "passed"}.get(word, word)
                self.counts[name] = self.counts.get(name, 0) + int(number)

    @property
    def ok(self) -> bool:
        """Whether the command ended well."""
        return self.status == 0

    def line(self) -> str:
        """Describe the outcome in one line of the summary."""
        counts = ", ".join(f"{number} {name}" for name, number in self.counts.items() if number)
        outcome = "ok" if self.ok else f"FAILED (exit status {self.status})"
        return f"{self.name:32} {self.took_s:6.0f} s  {outcome}{'  ' + counts if counts else ''}"


def steps() -> list[Step]:
    """All steps, the quick ones that fail most often first."""
    found = [
        Step("Rust format", "lint", ("cargo", "fmt", "--all", "--check")),
        Step("Python lint", "lint", ("ruff", "check", ".")),
        Step("Python format", "lint", ("ruff", "format", "--check", ".")),
        Step("Python types", "lint", ("mypy",)),
        Step("Stubs of native modules", "lint", STUBTEST),
        Step("Python layers", "lint", ("lint-imports", "--no-cache")),
        Step(
            "Rust lint",
            "lint",
            ("cargo", "clippy", "--locked", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"),
        ),
        Step("Rust tests", "rust", RUST_TESTS),
        # The core must not know whether a filter keeps adverts from it, nor the engine by what socket they leave.
        Step("Core behind a filter", "rust", ("env", "KEEPVIP_TEST_FILTER=1", *CARGO_TEST, "-p", "keepvip-proto")),
        Step("Engine that hears everything", "rust", (*OTHER_MODES, *CARGO_TEST, "-p", "keepvip-io")),
        Step("Instructions per advert", "rust", (sys.executable, "benches/instructions.py")),
        Step("Python tests", "unit", (*PYTEST, "-n", "2", "tests/unit")),
    ]
    # These measure time and share the machine's kernel: one after the other.
    found += [
        Step(title, "network", (*PYTEST, f"tests/{folder}"))
        for folder, title in (
            ("packaging", "Wheel"),
            ("netns", "Tests in namespaces"),
            ("guest", "Tests in a guest kernel"),
            ("interop", "Interoperation"),
        )
        if any((ROOT / "tests" / folder).glob("test_*.py"))
    ]
    # The same elections, whoever is woken and by whatever socket adverts leave.
    elections = [f"tests/netns/test_{name}.py" for name in ("election", "sync_group", "receive", "versions")]
    found.append(Step("Elections in the other modes", "network", (*OTHER_MODES, *PYTEST, *elections)))
    return found


def main() -> int:
    """Run the groups named on the command line, all without a name; return the exit status."""
    wanted = sys.argv[1:]
    everything = steps()
    if unknown := set(wanted) - {step.group for step in everything}:
        print(f"unknown group {', '.join(sorted(unknown))}\n{__doc__}", file=sys.stderr)
        return 2
    chosen = [step for step in everything if not wanted or step.group in wanted]
    for step in chosen:
        step.run()

    print("\n" + "=" * 78)
    for step in chosen:
        print(step.line())
    if os.geteuid() != 0 and any(step.group in {"network", "rust"} for step in chosen):
        print(
            "Not root: the tests in network namespaces were left out (pytest counts them as skipped, cargo as passed)."
        )
    failed_steps = [step.name for step in chosen if not step.ok]
    print(f"Failed: {', '.join(failed_steps)}" if failed_steps else "All checks passed.")
    totals = {name: sum(step.counts.get(name, 0) for step in chosen) for name in ("passed", "failed", "skipped")}
    # A step may fail without a failed test (a lint, a crash): the closing line must not read like a success.
    totals["failed"] = max(totals["failed"], len(failed_steps))
    print(", ".join(f"{number} {name}" for name, number in totals.items()))
    return 1 if failed_steps else 0


if __name__ == "__main__":
    sys.exit(main())
