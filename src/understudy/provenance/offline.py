"""The one way this room opens the C2PA library: without network, thumbnails or others' trust.

Trust anchors in, a library context out; also the streams it reads and writes through, and what it
finds in a file, its errors sorted into three. Knows nothing of what is signed or why.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import c2pa

from understudy.errors import from_os_error
from understudy.provenance.container import Container

T = TypeVar("T")


def context(anchors_pem: str = "") -> c2pa.Context:
    """Settings under which nothing leaves the machine; only `anchors_pem` make a signer known."""
    settings = {
        "version": 1,
        "verify": {
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
            "verify_trust": bool(anchors_pem),
            "verify_timestamp_trust": bool(anchors_pem),
            "verify_after_sign": True,
        },
        "core": {"allowed_network_hosts": []},
        "builder": {
            "thumbnail": {"enabled": False},
            "actions": {
                "auto_created_action": {"enabled": False},
                "auto_opened_action": {"enabled": False},
                "auto_placed_action": {"enabled": False},
            },
        },
    }
    if anchors_pem:
        settings["trust"] = {"trust_anchors": anchors_pem}
    return c2pa.Context.from_dict(settings)


class Tap:
    """A file as the library wants it, remembering the first system error.

    The library turns a failed read or write into a bare "Io" and loses the reason (a full disk);
    the caller finds it here.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.failure: OSError | None = None

    def _try(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except OSError as error:
            self.failure = self.failure or error
            raise

    def read(self, size: int = -1) -> bytes:
        return self._try(lambda: self._file.read(size))

    def readinto(self, buffer: memoryview) -> int:
        # Buffered files have readinto; typeshed's IO does not say so.
        return self._try(lambda: self._file.readinto(buffer))  # type: ignore[attr-defined,no-any-return]

    def write(self, data: bytes) -> int:
        return self._try(lambda: self._file.write(data))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._try(lambda: self._file.seek(offset, whence))

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._try(self._file.flush)


class Unwritten(Tap):
    """A file that reads as it is and swallows what is written.

    For sidecars: the library would copy a film only to leave it unchanged.
    """

    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        return


class NoManifestError(Exception):
    """The file holds no manifest."""


class RemoteManifestError(Exception):
    """The file says only where on the network its manifest lies; nobody goes there."""


class BrokenManifestError(Exception):
    """The file, or its manifest, can't be taken apart."""


def read_manifest(
    path: Path, container: Container, *, sidecar: bytes | None = None, anchors_pem: str = ""
) -> dict[str, Any]:
    """What the library finds in a file (or in its `sidecar`) and how it validates, as its JSON.

    Raises:
        FileError: the file can't be read.
        NoManifestError, RemoteManifestError, BrokenManifestError: as they say.
    """
    try:
        with path.open("rb") as file, context(anchors_pem) as offline:
            tap = Tap(file)
            kind = container.media_type if sidecar is None else container.detached_type
            try:
                with c2pa.Reader(kind, tap, sidecar, context=offline) as reader:
                    return dict(json.loads(reader.json()))
            except c2pa.C2paError.ManifestNotFound as error:
                raise NoManifestError from error
            except c2pa.C2paError as error:
                if tap.failure is not None:
                    raise tap.failure from error
                text = " ".join(str(error).split())
                if text.startswith("Remote"):
                    raise RemoteManifestError(text) from error
                raise BrokenManifestError(text[:120] or type(error).__name__) from error
    except OSError as error:
        raise from_os_error(error, path, doing="read") from error
