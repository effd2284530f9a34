"""The words of `regex_options` and their bits in PCRE2 (config-keywords.md 16.2, pcre2.h)."""

from __future__ import annotations

__all__ = ["OPTIONS"]

OPTIONS = {
    "allow_empty_class": 0x1,
    "alt_bsux": 0x2,
    "auto_callout": 0x4,
    "caseless": 0x8,
    "dollar_endonly": 0x10,
    "dotall": 0x20,
    "dupnames": 0x40,
    "extended": 0x80,
    "firstline": 0x100,
    "match_unset_backref": 0x200,
    "multiline": 0x400,
    "never_ucp": 0x800,
    "never_utf": 0x1000,
    "no_auto_capture": 0x2000,
    "no_auto_possess": 0x4000,
    "no_dotstar_anchor": 0x8000,
    "no_start_optimize": 0x10000,
    "ucp": 0x20000,
    "ungreedy": 0x40000,
    "utf": 0x80000,
    "never_backslash_c": 0x100000,
    "alt_circumflex": 0x200000,
    "alt_verbnames": 0x400000,
    "use_offset_limit": 0x800000,
}
"""The bit of each word of `regex_options`."""
