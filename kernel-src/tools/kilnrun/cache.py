"""Where the tool remembers things between runs."""

import os


def folder() -> str:
    """The cache folder, made if it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    path = os.path.expanduser(os.environ.get("KILN_CACHE") or os.path.join(base, "kiln"))
    os.makedirs(path, exist_ok=True)
    return path


def read(name: str) -> str | None:
    """The text remembered under this name, if any."""
    try:
        with open(os.path.join(folder(), name), encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError:
        return None


def write(name: str, text: str) -> None:
    """Remember a text; a reader sees the old or the new one, never half of it.

    Where nothing can be written it is not remembered: everything works without, only slower.
    """
    try:
        path = os.path.join(folder(), name)
        partial = f"{path}.{os.getpid()}"
        with open(partial, "w", encoding="utf-8") as stream:
            stream.write(text + "\n")
        os.replace(partial, path)
    except OSError:
        pass
