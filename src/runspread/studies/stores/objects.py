"""Objects in S3, Google Cloud Storage or Azure, through the package obstore (extra ``remote``).

Credentials are found by that package's own chain (variables, profiles, the machine's identity) or given as options;
they are never shown, and never travel: a copy that another process gets finds its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..._optional import require
from ...errors import StorageError
from .contract import (
    LARGEST_CREATED,
    Entry,
    Listing,
    Refused,
    checked_key,
    checked_prefix,
    checked_spans,
    persistent,
    settled,
)

_SECRET = re.compile(r"secret|token|password|key|sas|signature|credential", re.IGNORECASE)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_RETRIES = {"max_retries": 3}
_LONGEST = 300  # characters of an answer that are shown
_ANSWERS = (  # what a store will say again, whoever asks how often: by the words of S3, Google Cloud Storage, Azure
    ("NoSuchBucket|ContainerNotFound|specified (bucket|container) does not exist",
     "there is no such bucket", "Make it, or check its name."),
    ("RequestTimeTooSkewed|RequestExpired|current time is too large",
     "the clock of this machine is not that of the store", "Set this machine's clock, and try again."),
    ("ExpiredToken|TokenRefreshRequired|InvalidToken|token has expired|InvalidAuthenticationToken",
     "the credentials have expired", "Log in again as the cloud's own tools do: nothing that was published is lost."),
    ("PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint|incorrectly configured region",
     "the bucket is in another region", "Say which: the variable AWS_REGION, or storage={'region': ...}."),
    ("NotImplemented|MethodNotAllowed",
     "the store cannot do what was asked of it", "Use a store that runspread check accepts."),
)  # fmt: skip
_REASON = re.compile(r"<Code>([^<]*)</Code>(?:\s*<Message>([^<]*)</Message>)?")

_T = TypeVar("_T")


class ObjectStore:
    """A store in a bucket, under a prefix.

    Parameters
    ----------
    url : str
        ``s3://bucket/study``, ``gs://bucket/study`` or ``az://account/container/study``.
    options : mapping of str to value
        Options of the store as obstore names them (``endpoint``, ``region``, ``allow_http``, ...).
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        self.url, self._options = url.rstrip("/"), dict(options or {})
        self._obstore = require("obstore", f"{url.partition(':')[0]}:// studies")
        self._store = self._opened()

    def __reduce__(self) -> tuple[Any, ...]:
        return ObjectStore, (self.url, public(self._options))

    def __repr__(self) -> str:
        return f"<store {self.url}>"

    def _opened(self) -> Any:
        stores, parts = self._obstore.store, urlsplit(self.url)
        config, path = {**self._options}, parts.path.strip("/")
        client = {"allow_http": True} if config.pop("allow_http", False) or _to_loopback(config) else {}
        common: dict[str, Any] = {"client_options": client, "retry_config": _RETRIES}
        if parts.scheme == "az":
            container, _, path = path.partition("/")
            kind, where = stores.AzureStore, container
            config.setdefault("account_name", parts.netloc)
        else:
            kind, where = (stores.S3Store if parts.scheme == "s3" else stores.GCSStore), parts.netloc
        if not where:
            raise StorageError(f"{self.url} names no bucket", "s3://bucket/study, or az://account/container/study")
        try:
            return kind(where, prefix=path or None, **common, **config)
        except Exception as error:  # of many kinds, some of which quote what they were given
            raise StorageError(
                f"{self.url} cannot be opened ({type(error).__name__})", hint="Check the options in storage=."
            ) from None

    def list(self, prefix: str = "") -> Listing:
        """Return one level."""
        where = checked_prefix(prefix).rstrip("/") or None
        found: list[Any] = []

        def ask() -> bytes:
            found[:] = [
                self._asked(prefix, lambda: self._obstore.list_with_delimiter(self._store, where), missing=False)
            ]
            return b""

        persistent(ask)
        objects = [Entry(one["path"], one["size"], one["last_modified"].timestamp()) for one in found[0]["objects"]]
        deeper = sorted(one.rstrip("/") + "/" for one in found[0]["common_prefixes"])
        return Listing(tuple(sorted(objects)), tuple(deeper))

    def read(self, key: str) -> bytes:
        """Return an object."""
        return persistent(lambda: self._asked(key, lambda: self._read_once(checked_key(key))))

    def _read_once(self, key: str) -> bytes:
        answer = self._obstore.get(self._store, key)
        data = bytes(answer.bytes())
        if len(data) != answer.meta["size"]:
            raise StorageError(f"{key} came with {len(data)} of {answer.meta['size']} bytes", "the whole object")
        return data

    def read_ranges(self, key: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return spans of an object."""
        if not spans:
            return []
        starts, ends = ([int(span[side]) for span in spans] for side in (0, 1))

        def ask() -> bytes:
            try:
                got = self._obstore.get_ranges(self._store, checked_key(key), starts=starts, ends=ends)
                found[:] = [bytes(one) for one in got]
            except self._obstore.exceptions.BaseError:
                checked_spans(spans, self._obstore.head(self._store, key)["size"], key)
                raise
            if [len(one) for one in found] != [end - start for start, end in zip(starts, ends, strict=True)]:
                checked_spans(spans, self._obstore.head(self._store, key)["size"], key)
                raise StorageError(f"{key} came with fewer bytes than were asked for", "a complete object")
            return b""

        found: list[bytes] = []
        persistent(lambda: self._asked(key, ask))
        return found

    def write(self, key: str, data: bytes | Path) -> None:
        """Write an object, in parts where it is large."""

        def put() -> bytes:
            self._obstore.put(self._store, checked_key(key), data)
            return b""

        persistent(lambda: self._asked(key, put, missing=False))

    def create(self, key: str, data: bytes) -> bool:
        """Let exactly one body stand at a key."""
        if len(data) > LARGEST_CREATED:
            raise StorageError(f"{key} would have {len(data)} bytes", f"at most {LARGEST_CREATED}")

        def put() -> None:
            self._obstore.put(self._store, checked_key(key), data, mode="create", use_multipart=False)

        def read() -> bytes:
            return self._read_once(key)

        return settled(lambda: self._asked(key, put, missing=False), lambda: self._asked(key, read), data, key)

    def delete(self, keys: Iterable[str]) -> None:
        """Take objects away."""
        for key in keys:

            def gone(key: str = checked_key(key)) -> bytes:
                with suppress(KeyError):
                    self._asked(key, lambda: self._obstore.delete(self._store, key))
                return b""

            persistent(gone)

    def local_path(self, key: str) -> Path | None:
        """Return None: nothing is a file."""
        return None

    def _asked(self, key: str, ask: Callable[[], _T], *, missing: bool = True) -> _T:
        """Return an answer; what the package raises becomes what a store says, without what it may quote.

        Where nothing can be `missing`, because it is written or listed, a store that does not find it cannot be used.
        """
        exceptions = self._obstore.exceptions
        try:
            return ask()
        except (exceptions.NotFoundError, FileNotFoundError) as error:
            self._refuse(str(error))
            if not missing:
                raise Refused(f"{self.url}: {reason(str(error))}", hint="Check its name and its endpoint.") from None
            raise KeyError(key) from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            self._refuse(str(error))
            hint = "Check the credentials: they are found as the cloud's own tools find them, and may have expired."
            raise Refused(f"{self.url} may not be used ({type(error).__name__})", hint=hint) from None
        except exceptions.BaseError as error:
            self._refuse(str(error))
            said = reason(str(error))
            raise StorageError(f"{self.url}/{key}: {said}", hint="Check the network, and try again.") from None

    def _refuse(self, answer: str) -> None:
        """Raise where a store says what it will say again."""
        for words, found, hint in _ANSWERS:
            if re.search(words, answer):
                raise Refused(f"{self.url}: {found}", hint=hint) from None


def reason(answer: str) -> str:
    """Return what an answer of a store says, without what it was asked and how the package came to know."""
    if found := _REASON.search(answer):
        return f"the store answers {': '.join(part for part in found.groups() if part)}"[:_LONGEST]
    return " ".join(answer.partition("Debug source")[0].split())[:_LONGEST]


def public(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that may be sent and shown: those that are no secret."""
    return {name: value for name, value in options.items() if not _SECRET.search(name)}


def _to_loopback(config: Mapping[str, Any]) -> bool:
    """Whether the endpoint is this machine, to which nothing has to be encrypted."""
    given = config.get("endpoint") or next((os.environ[name] for name in _ENDPOINTS if name in os.environ), "")
    return urlsplit(str(given)).hostname in _LOOPBACK
