"""Exit codes of the tool and the one exception that ends it early."""

EXIT_TIMEOUT = 124
EXIT_FAILED = 125
EXIT_PANIC = 126


class RunError(Exception):
    """Something outside the program went wrong; the text is a sentence for the user."""
