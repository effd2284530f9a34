"""Compiler of `keepalived.conf`: text, tree, typed frozen model; all findings of one run, each with its place."""
