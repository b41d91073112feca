"""Run a cell, or ask for completions in it, as a notebook does."""

from IPython.utils.capture import capture_output


def cell(shell, text):
    """The value of a cell, or its error; and what it printed."""
    with capture_output() as captured:
        result = shell.run_cell(text)
    said = captured.stdout.partition("Out[")[0]
    return result.error_in_exec or result.error_before_exec or result.result, said


def completions(shell, text):
    """What the completer of the shell offers at the bar in the text."""
    place = text.index("|")
    with capture_output():
        return {one.text for one in shell.Completer.completions(text.replace("|", ""), place)}
