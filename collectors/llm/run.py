"""Runs a Python program with the tap in: what `gaugebook run` starts, as the main program of a fresh interpreter.

`python .../run.py OPTIONS -- script.py ARGUMENTS`, and likewise `-m module` and `-c code`. The program finds
`__main__`, `sys.argv` and `sys.path` as if Python had been started with it. Nothing is left behind: no file and no
variable.
"""

from __future__ import annotations

import argparse
import io
import runpy
import sys
import types
import zipfile
from pathlib import Path
from types import TracebackType
from typing import NoReturn

_PROGRAM = "gaugebook run"
_OURS = ("store", "collectors")  # the packages of ours that are loaded beside the program


def main(arguments: list[str]) -> None:
    """Install the tap as the options say, then run the program after `--`."""
    ours, program = _split(arguments)
    _install(ours)
    sys.excepthook = _show
    if program[0] == "-m":
        sys.argv = program[1:]
        _module(program[1])
        return
    sys.argv = program
    if program[0] == "-c":
        sys.argv = ["-c", *program[2:]]
        _put_first("")
        _execute(program[1], "<string>")
    elif Path(program[0]).is_dir() or zipfile.is_zipfile(program[0]):
        _put_first(str(Path(program[0]).absolute()))
        _replace_main()
        runpy._run_module_as_main("__main__", alter_argv=False)  # type: ignore[attr-defined]  # as Python does
    else:
        _script(program[0])


def _split(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog=_PROGRAM)
    for option in ("--team", "--project", "--environment"):
        parser.add_argument(option)
    parser.add_argument("--tag", action="append", default=[])
    ours = parser.parse_args(arguments[:at])
    program = arguments[at + 1 :]
    if not program or (program[0] in ("-m", "-c") and len(program) == 1):
        parser.error("name a program: -- script.py, -- -m module, -- -c code")
    return ours, program


def _install(ours: argparse.Namespace) -> None:
    # Whatever the program's folder holds, these packages are ours: they are found beside this file.
    home = _home()
    sys.path.insert(0, home)
    try:
        from collectors.llm.tap import install
        from store.errors import GaugebookError

        try:
            install(
                team=ours.team,
                project=ours.project,
                environment=ours.environment,
                tags=dict(tag.partition("=")[::2] for tag in ours.tag),
            )
        except GaugebookError as error:
            _end(str(error))
    finally:
        sys.path.remove(home)


def _module(name: str) -> None:
    _put_first(str(Path.cwd()))
    _replace_main()
    runpy._run_module_as_main(name)  # type: ignore[attr-defined]  # what `python -m` itself calls


def _script(path: str) -> None:
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        _end(f"cannot open {path!r}: {error.strerror}")
    _put_first(str(Path(path).resolve().parent))
    _execute(source, str(Path(path).absolute()), is_file=True)


def _execute(source: str | bytes, name: str, *, is_file: bool = False) -> None:
    main_module = _replace_main()
    if is_file:
        main_module.__file__ = name
    exec(compile(source, name, "exec", dont_inherit=True), main_module.__dict__)  # noqa: S102 - it is what was asked for


def _replace_main() -> types.ModuleType:
    """Put a new, empty `__main__` in our place."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    return module


def _put_first(folder: str) -> None:
    if getattr(sys.flags, "safe_path", False):
        return
    there = Path(folder).absolute()
    for name in _OURS if str(there) != _home() else ():
        if (there / name).is_dir() or (there / f"{name}.py").exists():
            _end(
                f"{there} has a module {name!r}, and so has Gaugebook: in one process only one of them can be imported"
            )
    sys.path.insert(0, folder)


def _home() -> str:
    return str(Path(__file__).absolute().parents[2])


def _show(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    """Show an error of the program as Python would: from its own first line on."""
    first = at
    while first is not None and first.tb_frame.f_code.co_filename in (__file__, runpy.__file__, "<frozen runpy>"):
        first = first.tb_next
    if first is not None or isinstance(error, SyntaxError):  # else it is an error of ours
        error.__traceback__ = first
    sys.__excepthook__(kind, error, error.__traceback__)


def _end(message: str) -> NoReturn:
    sys.stderr.write(f"{_PROGRAM}: {message}\n")
    sys.exit(2)


if __name__ == "__main__":
    if sys.path and Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
        del sys.path[0]  # Python has put our own folder there, whose files are no modules of their own
    main(sys.argv[1:])
