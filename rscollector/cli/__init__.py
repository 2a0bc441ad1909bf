"""The commands: one module each, with `add(subparsers)` and a function that returns the exit code.

Exit codes: 0 fine, 1 failed, 2 usage or configuration. Whatever is slow to import is imported by the command
that needs it, so that `--help` and `status` answer at once.
"""
