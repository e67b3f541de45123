"""An object store behind few words, over fsspec."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ... import places
from ...errors import LeptonError, MissingExtra, Problem, RequestError

_EXTRAS = {"s3": "s3", "s3a": "s3"}
# A store that is away must not hold a viewer for minutes.
_S3_OPTIONS = {
    "config_kwargs": {"connect_timeout": 3, "read_timeout": 20, "retries": {"max_attempts": 1}},
    "use_listings_cache": False,
}


class BucketError(LeptonError):
    """The object store did not do what it was asked: away, refused, broken."""


class Bucket:
    """The objects below one URL. Keys are relative and have no leading slash."""

    def __init__(self, url: str) -> None:
        import fsspec

        scheme = urlsplit(url).scheme
        options: dict[str, Any] = _S3_OPTIONS if scheme in _EXTRAS else {}
        if scheme in ("file", "local"):
            options = {"auto_mkdir": True}
        try:
            self._files, root = fsspec.core.url_to_fs(url, **options)
        except ImportError as error:
            raise MissingExtra(str(error), _EXTRAS.get(scheme, scheme), f"LEPTON_HOME={scheme}://…") from error
        except ValueError:
            do = "Set LEPTON_HOME to a folder, or to s3://bucket/prefix."
            raise RequestError(Problem("LEPTON_HOME is of no kind that fsspec knows", f"{scheme}://", do)) from None
        self._root = str(root).rstrip("/")

    def get(self, key: str) -> bytes | None:
        """An object's bytes, or None when there is none."""
        with self._said():
            try:
                found: bytes = self._files.cat_file(self._path(key))
                return found
            except FileNotFoundError:
                return None

    def get_all(self, keys: list[str]) -> dict[str, bytes]:
        """Those of these objects that there are, fetched at once."""
        if not keys:
            return {}
        with self._said():
            found = self._files.cat([self._path(key) for key in keys], on_error="return")
        answer = {}
        for path, data in found.items():
            if isinstance(data, bytes):
                answer[self._key(path)] = data
            elif not isinstance(data, FileNotFoundError):
                raise BucketError(f"the store did not give {path}: {data}")
        return answer

    def put(self, key: str, data: bytes) -> None:
        """Write an object, whole or not at all."""
        with self._said():
            self._files.pipe_file(self._path(key), data)

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one: False when there was. S3 does this in one step
        (``If-None-Match: *``); where a store cannot, fsspec looks first.
        """
        try:
            with self._said():
                self._files.pipe_file(self._path(key), data, mode="create")
            return True
        except BucketError:
            if self.get(key) is None:
                raise
            return False

    def names(self, prefix: str) -> list[str]:
        """Names of what lies directly below a prefix, sorted."""
        with self._said():
            try:
                found = self._files.ls(self._path(prefix), detail=False)
            except FileNotFoundError:
                return []
        return sorted({str(path).rstrip("/").rpartition("/")[2] for path in found} - {""})

    def upload(self, path: Path, key: str) -> None:
        """Copy a file up, in parts where it is large."""
        with self._said():
            self._files.put_file(str(path), self._path(key))

    def download(self, key: str, path: Path) -> None:
        """Copy an object down."""
        with self._said():
            self._files.get_file(self._path(key), str(path))

    def delete(self, prefix: str) -> None:
        """Remove everything below a prefix."""
        with self._said(), contextlib.suppress(FileNotFoundError):
            self._files.rm(self._path(prefix), recursive=True)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}".rstrip("/")

    def _key(self, path: str) -> str:
        return path[path.index(self._root) + len(self._root) + 1 :]

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            # Each library has errors of its own, some of them no OSError.
            raise BucketError(
                f"the store {places.store_url()} cannot be used: {type(error).__name__}: {error}"
            ) from error


def open_bucket() -> Bucket:
    """The store that ``LEPTON_HOME`` names. Raises :class:`RequestError`."""
    return _opened(places.store_url())


@lru_cache(maxsize=4)
def _opened(url: str) -> Bucket:
    if "@" in urlsplit(url).netloc:
        do = "Leave user and password out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile."
        raise RequestError(Problem("LEPTON_HOME must hold no credentials", "a URL with a user", do))
    return Bucket(url)
