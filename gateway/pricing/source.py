"""Where litellm's table is read from: the installed package, a file, or an address. Bounded in time and in size."""

from __future__ import annotations

import http.client
import importlib.metadata
import importlib.util
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import ConfigError

PUBLIC_URL: Final = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"
INSTALLED: Final = "installed"
PACKAGED_NAME: Final = "model_prices_and_context_window_backup.json"
BYTES_MAX: Final = 64 * 1024 * 1024  # it has 3 MB
SILENCE_S: Final = 20.0
DEADLINE_S: Final = 120.0  # for all of it; 3 MB at 25 kB/s
_PIECE: Final = 64 * 1024
_REMEDY: Final = "give a table that is here with --from FILE, or the installed package's with --from installed"


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it was found. name: where, for people. version: of the package that it came in, empty if none."""

    content: bytes
    name: str
    version: str = ""


def read_source(wanted: str, bytes_max: int = BYTES_MAX, silence_s: float = SILENCE_S, deadline_s: float = DEADLINE_S) -> Table:
    """The table at an address, in a file, or of the package, for `installed`. Raises ConfigError.

    silence_s: how long an address may say nothing; deadline_s: how long it may take for everything.
    """
    if wanted == INSTALLED:
        return installed_table()
    if "://" not in wanted:
        return Table(_file_content(Path(wanted), bytes_max), Path(wanted).name)
    try:
        parts = urllib.parse.urlsplit(wanted)
    except ValueError as exc:  # a bracket that does not close
        raise ConfigError(f"'{wanted}' is no address: {exc}; {_REMEDY}") from exc
    if parts.scheme not in ("http", "https"):
        raise ConfigError(f"'{wanted}' is no http:// or https:// address; {_REMEDY}")
    if "@" in parts.netloc:
        raise ConfigError(f"addresses with a user and a password in them are not fetched from; {_REMEDY}")
    try:
        return Table(_fetched(wanted, bytes_max, silence_s, deadline_s), wanted)
    except (OSError, http.client.HTTPException, ValueError) as exc:  # URLError and time-outs are OSErrors
        if isinstance(exc, urllib.error.HTTPError):
            exc.close()  # it is the response as well
        raise ConfigError(f"cannot fetch {wanted}: {exc or type(exc).__name__}; {_REMEDY}") from exc


def installed_table() -> Table:
    """The table of the litellm package, without importing it (3 s, 168 MB). Raises ConfigError when it is not installed."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        raise ConfigError("litellm is not installed here: pip install 'turnout[litellm]'")
    content = _file_content(Path(spec.origin).parent / PACKAGED_NAME, BYTES_MAX)
    return Table(content, f"litellm/{PACKAGED_NAME}", importlib.metadata.version("litellm"))


def _file_content(path: Path, bytes_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
    except OSError as exc:
        raise ConfigError(f"cannot read '{path}': {exc.strerror}") from exc
    if len(content) > bytes_max:
        raise ConfigError(f"'{path}' is larger than {bytes_max} bytes, so it is no price table")
    return content


def _fetched(url: str, bytes_max: int, silence_s: float, deadline_s: float) -> bytes:
    """Raises OSError, ValueError and http.client.HTTPException."""
    until = time.monotonic() + deadline_s
    pieces: list[bytes] = []
    size = 0
    with urllib.request.urlopen(url, timeout=silence_s) as response:  # http or https only, see above
        while piece := response.read1(_PIECE):
            size += len(piece)
            if size > bytes_max:
                raise ValueError(f"more than {bytes_max} bytes came, so it is no price table")
            if time.monotonic() > until:
                raise TimeoutError(f"not all of it came within {deadline_s:g} s")
            pieces.append(piece)
        wanted = response.headers.get("content-length")
    if wanted is not None and wanted.isdecimal() and size < int(wanted):
        raise ValueError(f"the connection ended after {size} of {wanted} bytes")
    return b"".join(pieces)
