"""The command line as tests call it: in this process, which is fast, or as the installed executable."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from unittest import mock

import attrs

from ganlab.cli import main

GANLAB = str(Path(sys.executable).with_name("ganlab"))
"""The installed executable."""


@attrs.frozen
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


def ganlab(*words: object) -> Done:
    """`ganlab WORDS...` through the very function that the executable calls, with its exit code and output."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["ganlab", *map(str, words)]
    with mock.patch.object(sys, "argv", argv), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return Done(code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue())
