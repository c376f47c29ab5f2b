"""What every command line does: plain messages, and one sentence in place of a traceback for what a user can mend."""

import contextlib
import logging as python_logging
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NoReturn, TypeVar

from absl import flags, logging

try:
    import jax  # noqa: F401
except ValueError as error:  # of a variable that JAX cannot read; it names it
    print("rw_jax: JAX cannot start:", *str(error).split(), file=sys.stderr)
    sys.exit(2)

from rw_jax.study.errors import ConfigError, RunError
from rw_jax.study.reading import describe_fields
from rw_jax.sweeps import interruption, processes
from rw_jax.training.pieces import KINDS

Parsed = TypeVar("Parsed")


def run(main: Callable[[Parsed], None], parse: Callable[[list[str]], Parsed]) -> None:
    """What a console script does: a notebook may do it several times in one process.

    Args:
      main: (command) -> None.
      parse: (argv) -> the command.
    """
    flags.FLAGS.mark_as_parsed()  # by itself absl tells what is logged only where it has read the flags
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    log_plainly()
    main(parse(sys.argv))


def parsed(argv: list[str], read: Callable[[list[str]], Parsed], about: str) -> Parsed:
    """What a command line asks for; bad input is one sentence and exit code 2.

    Args:
      argv: the command line, the program first.
      read: (argv) -> the command; raises ConfigError.
      about: what --help prints.
    """
    open_streams()
    allow_many_files()
    if {"--help", "--helpshort", "-h"} & set(argv[1:]):
        write(about)
        sys.exit(0)
    with explaining():
        try:
            Path.cwd()
        except FileNotFoundError:
            raise ConfigError("The working directory is not there any more; change to one that is.") from None
        return read(argv)


def about(text: str | None) -> str:
    """What --help prints of a program that takes a study: its own text, and every field."""
    return (
        f"{text}\nA field is changed by --config.FIELD=VALUE, and made an axis by --config.grid.AXIS=LABELS, such as\n"
        "0.1,0.5 or range(16) or range(0, 100, 10) or linspace(0, 1, 11) or geomspace(0.01, 1, 5) or 1/3. The fields:\n"
        f"\n{describe_fields({name: kind.table for name, kind in KINDS.items()})}\n"
    )


def open_streams() -> None:
    """Makes sure that there is something to write to, in whatever locale: a program may be started without a stderr."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):  # what tests put in its place has no encoding
            stream.reconfigure(errors="backslashreplace")


def allow_many_files() -> None:
    """Lets the process open as many files as it needs, or ends it with a sentence: Orbax opens many at once."""
    try:
        import resource  # which Windows has not
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < _LEAST_FILES:
        refuse(f"this process may open {wanted} files at a time, but needs {_LEAST_FILES}; give more with ulimit -n.")


_FILES, _LEAST_FILES = 4096, 256


def log_plainly() -> None:
    """One plain line per message, and of JAX only warnings: it tells which backends this machine does not have."""
    logging.get_absl_handler().setFormatter(python_logging.Formatter("%(message)s"))
    python_logging.getLogger("jax").setLevel(python_logging.WARNING)


@contextlib.contextmanager
def explaining(is_distributed: bool = False) -> Generator[None]:
    """Ends the program with one sentence for whatever a user can mend.

    Exit codes: 2 if what was asked for cannot be done; 1 if what was begun cannot continue; repeat the command to
    resume. A reader of the output that has had enough, as `head` does, is no error.
    """
    try:
        yield
        sys.stdout.flush()
    except ConfigError as error:
        refuse(error)
    except RunError as error:
        refuse(error, exit_code=1)
    except BrokenPipeError:
        _leave_output()
    except MemoryError:
        refuse(_MEMORY, exit_code=1)
    except (OSError, RuntimeError, ValueError) as error:  # JAX and Orbax raise each of them
        if is_distributed and processes.tells_of_a_lost_process(error):
            refuse(f"another process of the job has ended; {interruption.CONTINUE}", exit_code=1)
        if "RESOURCE_EXHAUSTED" in str(error):
            refuse(_MEMORY, exit_code=1)
        if isinstance(error, OSError) and error.errno:
            name = error.filename or "The standard output"
            refuse(f"{name} cannot be written ({error.strerror}); {interruption.CONTINUE}", exit_code=1)
        raise


def write(text: str) -> None:
    """Prints; a reader that has had enough keeps nothing from being finished."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _leave_output()


def _leave_output() -> None:
    # Python would flush what is left, and tell that it cannot.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_MEMORY = (
    "memory is short; give a smaller --config.execution.cells_per_chunk or cells_per_batch. What is finished is kept."
)


def refuse(reason: object, exit_code: int = 2) -> NoReturn:
    """Ends the program with a sentence on stderr."""
    with contextlib.suppress(OSError):  # nobody may be there to read it
        print("rw_jax:", *str(reason).split(), file=sys.stderr, flush=True)  # one line, whatever was given
    sys.exit(exit_code)


def short(path: Path) -> Path:
    """A path for a message: as seen from the working directory, if it lies there."""
    with contextlib.suppress(ValueError, OSError):
        return path.relative_to(Path.cwd())
    return path
