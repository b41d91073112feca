"""`gaugebook run`: a Python program whose LLM calls are metered, without a change to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from store.errors import InputError
from store.settings import load

LAUNCHER = Path(__file__).parents[2] / "collectors/llm/run.py"
SETTINGS = {"allow_interspersed_args": False, "ignore_unknown_options": True}
_WITH_VALUE = "WX"  # of Python's options, those that are followed by something
_ENDING = "cm"  # and those that name the program
_LOOKED_AT = 4096


def run(
    program: Annotated[
        list[str], typer.Argument(help="What to run: `python app.py`, `-m module`, `app.py` or a console script.")
    ],
    *,
    team: Annotated[str | None, typer.Option(help="Team that the calls belong to, unless the program says it.")] = None,
    project: Annotated[str | None, typer.Option(help="Project that the calls belong to, likewise.")] = None,
    environment: Annotated[str | None, typer.Option(help="Environment that they belong to, likewise.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="More about the calls, as KEY=VALUE; repeatable.")] = None,
) -> None:
    """Run a Python program and meter its LLM calls.

    The program is not changed and nothing is installed: it runs in a fresh interpreter that has the tap in. Its input,
    output, arguments, signals and exit code are its own. Processes that it starts are metered where it forks them, and
    not where it starts another program.

    Example: `gaugebook run --team search -- python app.py --verbose`
    """
    load()  # what is wrong with the settings is told before anything runs
    for pair in tag or ():
        if "=" not in pair:
            raise InputError(f"--tag {pair!r} is not of the form KEY=VALUE")
    python, options, target = command_of(program)
    ours = [f"--{name}={value}" for name, value in
            (("team", team), ("project", project), ("environment", environment)) if value]  # fmt: skip
    ours += [f"--tag={pair}" for pair in tag or ()]
    _become(python, [python, *options, str(LAUNCHER), *ours, "--", *target])


def command_of(program: list[str]) -> tuple[str, list[str], list[str]]:
    """The interpreter, its options, and what it is to run: a script, `-m module` or `-c code`, with the arguments.

    Raises:
        InputError: it is not there, or no Python program.

    >>> command_of(["python", "-X", "dev", "-um", "app.main", "--fast"])[1:]
    (['-X', 'dev', '-u'], ['-m', 'app.main', '--fast'])
    """
    first = program[0]
    if first in ("-m", "-c") or first.endswith((".py", ".pyz")):
        return sys.executable, [], program
    found = shutil.which(first)
    if found is None:
        raise InputError(f"there is no program {first!r}; is it on the PATH?")
    if _is_python(found):
        return found, *_python_command(first, program[1:])
    if Path(first).is_dir():
        return sys.executable, [], program
    interpreter = _interpreter_of(Path(found))
    if interpreter is None:
        raise InputError(f"{found} is not a Python program; meter it from within: collectors.llm.install()")
    return interpreter[0], interpreter[1:], [found, *program[1:]]


def _python_command(name: str, arguments: list[str]) -> tuple[list[str], list[str]]:
    """Python's own options, and from the program on."""
    left = list(arguments)
    options: list[str] = []
    while left and left[0].startswith("-") and left[0] != "-":
        option = left.pop(0)
        if option == "--check-hash-based-pycs":
            options += [option, *left[:1]]
            del left[:1]
            continue
        for index, letter in enumerate(option[1:], 1):
            rest = option[index + 1 :]
            if letter in _ENDING:
                options += [option[:index]] if index > 1 else []
                return options, [f"-{letter}", *([rest] if rest else []), *left]
            if letter in _WITH_VALUE:
                options += [option] if rest else [option, *left[:1]]
                del left[: 0 if rest else 1]
                break
        else:
            options.append(option)
    if not left or left[0] == "-":
        raise InputError(f"{name} has no program to run: name a script, -m MODULE or -c CODE")
    return options, left


def _is_python(path: str) -> bool:
    return Path(path).name.startswith(("python", "pypy")) and not path.endswith((".py", ".pyz"))


def _interpreter_of(script: Path) -> list[str] | None:
    """What the first line of a script says, where that is a Python; the line may be pip's for long paths."""
    with script.open("rb") as file:
        head = file.read(_LOOKED_AT).decode("utf-8", "replace").splitlines()
    if not head or not head[0].startswith("#!"):
        return None
    words = head[0][2:].split()
    if words and Path(words[0]).name == "env":
        words = [found for word in words[1:] if not word.startswith("-") and (found := shutil.which(word))]
    if words and _is_python(words[0]):
        return words
    if len(head) > 1 and head[1].startswith("'''exec' "):
        quoted = head[1].removeprefix("'''exec' ").split('"')
        path = quoted[1] if len(quoted) > 1 else quoted[0].split()[0]
        return [path] if _is_python(path) else None
    return None


def _become(python: str, command: list[str]) -> NoReturn:
    """Replace this process by that one, which so has our signals, streams and exit code."""
    if not _has_gaugebook(python):
        raise InputError(f"{python} has no Gaugebook: install it there, or run with {sys.executable}")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(python, command)  # noqa: S606  # a program of the user's


def _has_gaugebook(python: str) -> bool:
    """Whether that interpreter is ours, or has what the tap needs."""
    if Path(python).resolve() == Path(sys.executable).resolve() and _prefix(python) == _prefix(sys.executable):
        return True
    check = f"import sys; sys.path.insert(0, {str(LAUNCHER.parents[2])!r}); import collectors.llm.tap"
    return subprocess.run([python, "-c", check], capture_output=True, check=False).returncode == 0


def _prefix(python: str) -> Path:
    """The environment that an interpreter belongs to: links lead out of it."""
    return Path(os.path.abspath(python)).parent  # noqa: PTH100 - resolve() would follow them
