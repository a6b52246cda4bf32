"""What went wrong with a connection, in a few words for people."""

from __future__ import annotations

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from rbee_widgets.hive.engine.errors import RefusedError
from rbee_widgets.hive.engine.remote import host_of


def reason(trouble: HTTPError | RefusedError, url: str) -> str:
    """Tell what the place of a URL did, naming its host and port."""
    host = host_of(url)
    match trouble:
        case RefusedError(status=status):
            return f"{host} answers with status {status}"
        case NameResolutionError():
            return f"no address is known of {host}"
        case NewConnectionError():
            return f"{host} can't be connected to{_because(trouble)}"
        case ConnectTimeoutError():
            return f"{host} does not take the connection"
        case ReadTimeoutError():
            return f"{host} has fallen silent"
    return f"{host} broke the connection off{_because(trouble)}"


def has_not_connected(error: HTTPError) -> bool:
    """Tell whether nobody took the connection."""
    return isinstance(error, (NewConnectionError, ConnectTimeoutError))


def os_error_below(error: BaseException) -> OSError | None:
    """Give the operating system's error that an error came from."""
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.errno is not None and below.strerror:
            return below
        below = below.__cause__ or below.__context__
    return None


def _because(error: BaseException) -> str:
    below = os_error_below(error)
    return "" if below is None else f" ({below.strerror})"
