"""The one exception that means "the user can mend this"."""


class UserError(ValueError):
    """A mistake in what came from outside: a file, a list, an option.

    Its text says what was expected, what came and what to do; the command line prints it as one line
    and exits with 2. Anything else that is raised is a fault of the program and keeps its traceback.
    """
