"""How errors are told: one sentence on standard error, and as JSON on standard output when that was asked for."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from difflib import get_close_matches
from typing import Any, Final

from rich.markup import escape
from typer.exceptions import Abort, TyperException

from engine.cli.output import console, write
from engine.cli.plain import to_json
from engine.domain.errors import WaylineError

OK: Final = 0
ERROR: Final = 1
USAGE: Final = 2
CHECK_FAILED: Final = 3
REFUSED: Final = 4
PARTIAL: Final = 5
INTERRUPTED: Final = 130  # what shells give for Ctrl-C


def tell(fault: BaseException, *, as_json: bool) -> int:
    """Tell an error and return the exit code that it stands for; an unforeseen one goes to a log file, named."""
    if isinstance(fault, WaylineError):
        return _told(fault.sentence, type(fault).__name__, fault.exit_code, as_json, _facts(fault))
    if isinstance(fault, TyperException):
        return _told(_usage(fault), "Usage", fault.exit_code, as_json)
    if isinstance(fault, (KeyboardInterrupt, Abort)):
        return _told("Interrupted. Nothing half done was left as finished.", "Interrupted", INTERRUPTED, as_json)
    if isinstance(fault, MemoryError):
        return _told("Out of memory. Lower [runtime] memory_limit in wayline.toml.", "MemoryError", ERROR, as_json)
    if isinstance(fault, OSError) and fault.filename is not None:
        sentence = f"{fault.filename}: {fault.strerror or 'it cannot be used'}. Check the path and its permissions."
        return _told(sentence, "File", ERROR, as_json)
    log = _log(fault)
    sentence = f"Something unforeseen went wrong ({type(fault).__name__}). Details are in {log}; please report them."
    return _told(sentence, type(fault).__name__, ERROR, as_json, {"log": log})


def _told(sentence: str, kind: str, code: int, as_json: bool, facts: dict[str, Any] | None = None) -> int:
    console(sys.stderr).print(f"[bold red]Error:[/] {escape(sentence)}", soft_wrap=True)
    if as_json:
        told = {"error": {"kind": kind, "sentence": sentence, "exit_code": code, **(facts or {})}}
        write(to_json(told, ascii_only=True))
    return code


def _usage(fault: TyperException) -> str:
    possible = getattr(fault, "possibilities", None)
    unknown = getattr(fault, "option_name", "")
    if possible:
        near = get_close_matches(unknown, possible, n=1, cutoff=0) or list(possible)
        sentence = f"No such option {unknown}. Did you mean {near[0]}?"
    else:
        sentence = fault.format_message().strip()
        sentence = sentence if sentence.endswith((".", "?", ")")) else f"{sentence}."
    context = getattr(fault, "ctx", None)
    return f"{sentence} See `{context.command_path} --help`." if context is not None else sentence


def _facts(fault: WaylineError) -> dict[str, Any]:
    # what an error carries beside its sentence, for programs; only what JSON can say
    simple = (str, int, float, bool, tuple, list)
    return {name: value for name, value in vars(fault).items() if name != "sentence" and isinstance(value, simple)}


def _log(fault: BaseException) -> str:
    # readable by its owner alone: a traceback may quote a value
    handle, name = tempfile.mkstemp(prefix="wayline-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8") as log:
        log.writelines(traceback.format_exception(fault))
    return name
