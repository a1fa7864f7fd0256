"""The command line: parses, calls, prints. Nothing else of the package prints."""

import errno
import sys
from collections.abc import Sequence

from cyclopts import CycloptsError

from pcfh.cli.app import app, heed_interrupts, say
from pcfh.errors import UserError

__all__ = ["app", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits: 0 well, 1 some items failed, 2 a mistake in what was given."""
    heed_interrupts()
    try:
        code = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        sys.exit(2)
    except UserError as error:
        say(f"pcfh: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("pcfh: interrupted; what is written is whole, give the same command again", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:  # a full disk, a folder that must not be written to, ...
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "; free some space and give the same command again" if full else ""
        say(f"pcfh: {error}{remedy}", file=sys.stderr)
        sys.exit(2)
    sys.exit(code or 0)
