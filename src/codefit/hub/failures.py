"""What goes wrong on the way to a repository, each as one line that says what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from codefit.core.errors import CodefitError, InputError, MissingPrerequisite
from codefit.hub.client import Hub


@contextmanager
def one_line(hub: Hub, repo: str, revision: str | None, *, page: str = "") -> Iterator[None]:
    """Turn the client's exceptions into `InputError` or `MissingPrerequisite`.

    `page` is the path of the repository's web page. A full disk stays the `OSError` that it is.
    """
    import httpx2
    from huggingface_hub.errors import HFValidationError

    try:
        yield
    except CodefitError:
        raise
    except HFValidationError as e:
        raise InputError(f"not the name of a repository: {_first(e)}", where=repo, todo="owner/name") from e
    except (OSError, httpx2.HTTPError, httpx2.InvalidURL, LookupError, TypeError, ValueError) as e:
        if isinstance(e, OSError) and e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        raise _explained(e, hub, f"{repo}@{revision}" if revision else repo, page or repo) from e


def _explained(error: BaseException, hub: Hub, where: str, page: str) -> CodefitError:
    """Return the line for an error, or for the one that caused it where the client wrapped it."""
    from huggingface_hub import errors

    cause = _cause(error)
    if isinstance(cause, errors.GatedRepoError):
        todo = f"accept its terms on {hub.endpoint}/{page} and set HF_TOKEN to a token of that account"
        return InputError("gated: its owner lets nobody in without agreement", where=where, todo=todo)
    if isinstance(cause, errors.RepositoryNotFoundError):
        todo = "check owner/name; if it is private, set HF_TOKEN"
        return InputError(f"no such repository on {hub.endpoint}", where=where, todo=todo)
    if isinstance(cause, errors.RevisionNotFoundError):
        return InputError("no such revision", where=where, todo="name a branch, a tag or a full commit hash")
    if isinstance(cause, errors.RemoteEntryNotFoundError):
        return InputError(f"a file is missing there: {_first(cause)}", where=where, todo="check the revision")
    if isinstance(cause, errors.HfHubHTTPError):
        return _status(cause.response.status_code, hub, where)
    if isinstance(cause, errors.OfflineModeIsEnabled) or hub.offline:
        return not_cached(hub, where)
    return _transport(cause, hub, where)


def _cause(error: BaseException) -> BaseException:
    """Return what the client's own wrappers stand for: the answer or the broken connection under them."""
    from huggingface_hub import errors

    wrappers = (errors.LocalEntryNotFoundError, errors.RevisionResolutionError)
    while isinstance(error, wrappers) and error.__cause__ is not None:
        error = error.__cause__
    return error


def _status(code: int, hub: Hub, where: str) -> CodefitError:
    if code in (401, 403):
        said = "refuses the token in HF_TOKEN" if hub.token else "wants a token"
        return InputError(
            f"{hub.endpoint} {said} ({code})", where=where, todo="set HF_TOKEN to one that may read it"
        )
    if code == 429:
        return MissingPrerequisite(
            f"{hub.endpoint} allows no more requests for now (429)",
            where=where,
            todo="run again in some minutes",
        )
    todo = "run the same command again later, or set HF_ENDPOINT to another mirror"
    return MissingPrerequisite(f"{hub.endpoint} answers with error {code}", where=where, todo=todo)


def _transport(error: BaseException, hub: Hub, where: str) -> CodefitError:
    import httpx2

    if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)):
        what = f"cannot reach {hub.endpoint}: {_first(error)}"
        todo = "check the network, set HF_ENDPOINT to a mirror, or name local files"
        return MissingPrerequisite(what, where=where, todo=todo)
    if isinstance(error, httpx2.TransportError):
        what = f"the connection to {hub.endpoint} broke: {_first(error)}"
        return MissingPrerequisite(
            what, where=where, todo="run the same command again: it goes on from there"
        )
    what = f"{hub.endpoint} does not answer like a hub: {_first(error)}"
    return InputError(what, where=where, todo="check HF_ENDPOINT, proxy and firewall")


def not_cached(hub: Hub, where: str, file: str | None = None) -> MissingPrerequisite:
    """Return the error for what is wanted without network and was never downloaded."""
    what = f"{file or 'this revision'} is not in the cache, and the hub is switched off"
    return MissingPrerequisite(what, where=where, todo="run once with HF_HUB_OFFLINE=0, or name local files")


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__
