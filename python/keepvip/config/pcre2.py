"""PCRE2 as the C library offers it, as much of it as `regex` needs (config-keywords.md 16.2; man pcre2api).

keepalived's patterns are PCRE2's, options and partial matching included, which `re` has not. The library is loaded by
name when the first pattern is compiled: it is on every Debian and Red Hat system, and only users of `regex` need it.
Matching runs without the GIL, and a limit keeps a pattern that explodes from running for longer than a moment.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from keepvip.config.regex_option import OPTIONS

__all__ = ["MatchError", "Pattern", "PatternError"]

LIBRARY = "libpcre2-8.so.0"
MATCH_LIMIT = 1_000_000
"""Steps of one match, about 10 ms; a runaway pattern ends there (CVE lists are full of the others)."""
_PARTIAL_HARD = 0x20
_NO_UTF_CHECK = 0x40000000
_ERROR_NOMATCH = -1
_ERROR_PARTIAL = -2
_JIT_COMPLETE_AND_PARTIAL_HARD = 0x1 | 0x4
_INFO_MAXLOOKBEHIND = 15
_UTF = OPTIONS["utf"]

_USE_OFFSET_LIMIT = OPTIONS["use_offset_limit"]


class PatternError(ValueError):
    """A pattern is not valid; `offset` counts characters from its start, -1: not the pattern's fault."""

    def __init__(self, message: str, offset: int = -1) -> None:
        super().__init__(message)
        self.offset = offset


class MatchError(RuntimeError):
    """A match ended without an answer, such as at the limit of steps or with text that is not UTF-8."""


class Pattern:
    """A compiled pattern. Raises PatternError when made."""

    def __init__(
        self, pattern: str, options: frozenset[str] = frozenset(), stack: tuple[int, int] | None = None
    ) -> None:
        self._lib = lib = _library()
        bits = _USE_OFFSET_LIMIT
        for name in options:
            bits |= OPTIONS[name]
        self.utf = bool(bits & _UTF)
        """The text is UTF-8: it may not be cut inside a character."""
        text = pattern.encode("utf-8", "surrogateescape")
        number, offset = ctypes.c_int(), ctypes.c_size_t()
        self._code = lib.pcre2_compile_8(text, len(text), bits, ctypes.byref(number), ctypes.byref(offset), None)
        if not self._code:
            place = len(text[: offset.value].decode("utf-8", "replace"))
            raise PatternError(_message(lib, number.value), place)
        lib.pcre2_jit_compile_8(self._code, _JIT_COMPLETE_AND_PARTIAL_HARD)  # without it the interpreter matches
        self._context = lib.pcre2_match_context_create_8(None)
        self._data = lib.pcre2_match_data_create_from_pattern_8(self._code, None)
        self._stack = lib.pcre2_jit_stack_create_8(*stack, None) if stack is not None else None
        if not self._context or not self._data:
            raise PatternError("out of memory")
        lib.pcre2_set_match_limit_8(self._context, MATCH_LIMIT)
        if self._stack:
            lib.pcre2_jit_stack_assign_8(self._context, None, self._stack)
        behind = ctypes.c_uint32()
        lib.pcre2_pattern_info_8(self._code, _INFO_MAXLOOKBEHIND, ctypes.byref(behind))
        self.max_lookbehind = behind.value * (4 if self.utf else 1)
        """Bytes before the start of a match that it may look at."""

    def __del__(self) -> None:
        """Gives the memory back."""
        lib = getattr(self, "_lib", None)
        if lib is None:
            return
        for field, free in (
            ("_data", "pcre2_match_data_free_8"),
            ("_context", "pcre2_match_context_free_8"),
            ("_stack", "pcre2_jit_stack_free_8"),
            ("_code", "pcre2_code_free_8"),
        ):
            pointer = getattr(self, field, None)
            if pointer:
                getattr(lib, free)(pointer)
                setattr(self, field, None)

    def search(
        self, text: bytes, start: int = 0, *, last_start: int | None = None, more: bool = True
    ) -> tuple[bool, int | None]:
        """(True, start of the match), (False, start of what may become one with more text), or (False, None).

        `last_start`: a match may not begin after it. `more`: further text may come; without it the text ends here.
        Raises MatchError.
        """
        lib = self._lib
        limit = ctypes.c_size_t(-1).value if last_start is None else last_start
        lib.pcre2_set_offset_limit_8(self._context, limit)
        options = _PARTIAL_HARD if more else 0
        code = lib.pcre2_match_8(self._code, text, len(text), start, options, self._data, self._context)
        if code == _ERROR_NOMATCH:
            return False, None
        if code < 0 and code != _ERROR_PARTIAL:
            raise MatchError(_message(lib, code))
        vector = lib.pcre2_get_ovector_pointer_8(self._data)
        return code != _ERROR_PARTIAL, vector[0]


@functools.cache
def _library() -> Any:  # noqa: ANN401  (ctypes makes its functions up)
    try:
        lib = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise PatternError(f"the library {LIBRARY} is not installed (Debian: libpcre2-8-0): {error}") from None
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32
    for name, result, arguments in (
        ("compile", pointer, (ctypes.c_char_p, size, number, pointer, pointer, pointer)),
        ("code_free", None, (pointer,)),
        ("jit_compile", ctypes.c_int, (pointer, number)),
        ("jit_stack_create", pointer, (size, size, pointer)),
        ("jit_stack_assign", None, (pointer, pointer, pointer)),
        ("jit_stack_free", None, (pointer,)),
        ("match_context_create", pointer, (pointer,)),
        ("match_context_free", None, (pointer,)),
        ("match_data_create_from_pattern", pointer, (pointer, pointer)),
        ("match_data_free", None, (pointer,)),
        ("set_match_limit", ctypes.c_int, (pointer, number)),
        ("set_offset_limit", ctypes.c_int, (pointer, size)),
        ("pattern_info", ctypes.c_int, (pointer, number, pointer)),
        ("match", ctypes.c_int, (pointer, ctypes.c_char_p, size, size, number, pointer, pointer)),
        ("get_ovector_pointer", ctypes.POINTER(size), (pointer,)),
        ("get_error_message", ctypes.c_int, (ctypes.c_int, ctypes.c_char_p, size)),
    ):
        function = getattr(lib, f"pcre2_{name}_8")
        function.restype, function.argtypes = result, arguments
    return lib


def _message(lib: Any, number: int) -> str:  # noqa: ANN401
    buffer = ctypes.create_string_buffer(256)
    lib.pcre2_get_error_message_8(number, buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace")
