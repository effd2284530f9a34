"""Freezes one thread of a process, as a debugger does, while its other threads go on."""

import ctypes
import os
import signal
from types import TracebackType
from typing import Final, Self

from keepvip.lab.errors import LabError

_PTRACE_SEIZE: Final = 0x4206
_PTRACE_INTERRUPT: Final = 0x4207
_PTRACE_DETACH: Final = 17
_WALL: Final = 0x40000000  # __WALL: wait for threads, too

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, thread: int) -> None:
    if _libc.ptrace(request, thread, None, None) == -1:
        number = ctypes.get_errno()
        raise LabError(f"ptrace({request:#x}, {thread}): {os.strerror(number)}")


class FrozenThread:
    """A context manager: the thread (default: the main thread) of a process stands still inside the ``with`` block.

    The thread that enters the block must also leave it: to the kernel, the tracer is a thread.
    """

    def __init__(self, pid: int, thread: int | None = None) -> None:
        self._thread = thread or pid

    def __enter__(self) -> Self:
        _ptrace(_PTRACE_SEIZE, self._thread)
        _ptrace(_PTRACE_INTERRUPT, self._thread)
        pid, status = os.waitpid(self._thread, _WALL)
        if pid != self._thread or not os.WIFSTOPPED(status):
            raise LabError(f"thread {self._thread} did not stop (status {status:#x})")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            _ptrace(_PTRACE_DETACH, self._thread)
        except LabError:
            os.kill(self._thread, signal.SIGCONT)  # it was killed meanwhile, or never let go: nothing is left frozen
            raise
