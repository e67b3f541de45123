"""TLS between scheduler, worker and client: a private authority for this host, renewed in good time.

The authority's key is never written, so nothing else can be signed by it; certificate and key
of the cluster are files of mode 0600 in the state folder. Who cannot read them can neither
connect nor be connected to. A cluster that starts when less than a third of their life is left
gets new ones.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import places
from ..errors import Problem, RequestError

if TYPE_CHECKING:
    from cryptography.x509 import CertificateBuilder

VALID_DAYS = 90.0
"""How long certificates are good for."""

_RENEW_BELOW = 1 / 3  # of their life
_BACKDATED = datetime.timedelta(hours=1)  # for clocks that differ between hosts
_FILES = {"authority": "authority.pem", "certificate": "cluster.pem", "key": "cluster.key"}


def tls_files(folder: Path | None = None) -> dict[str, Path]:
    """``authority``, ``certificate`` and ``key``: where they are, whether or not they exist.

    ``folder`` is this host's in the state folder, or one of the caller's.
    """
    if folder is None:
        folder = places.state_dir() / "tls"
        folder.mkdir(exist_ok=True, mode=0o700)
    return {name: folder / file for name, file in _FILES.items()}


def ensure_certificates(valid_days: float = VALID_DAYS) -> dict[str, Path]:
    """This host's files, made new where they are missing, broken or near their end.

    Clusters of this host share them: a cluster that starts must not take them from one that runs.
    """
    files = tls_files()
    with _renewing(files["authority"].parent):
        if remaining_life(files) < _RENEW_BELOW:
            write_certificates(valid_days=valid_days)
    return files


def remaining_life(files: dict[str, Path]) -> float:
    """The share of their life that the certificates still have, at most 1; 0 where they cannot be used."""
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    shares = []
    try:
        for name in ("authority", "certificate"):
            found = x509.load_pem_x509_certificate(files[name].read_bytes())
            begin, end = found.not_valid_before_utc + _BACKDATED, found.not_valid_after_utc
            shares.append((end - now) / (end - begin))
        is_whole = files["key"].stat().st_size > 0
    except (OSError, ValueError, ZeroDivisionError):
        return 0.0
    return max(0.0, min(1.0, *shares)) if is_whole else 0.0


def write_certificates(folder: Path | None = None, valid_days: float = VALID_DAYS) -> dict[str, Path]:
    """Make a new authority and one certificate signed by it, for every role of a cluster."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = named(f"Lepton Lab on {platform.node()}"[:64])
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), valid_days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(named("lepton-lab cluster"), authority_name, key.public_key(), valid_days)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    files = tls_files(folder)
    _write_private(files["authority"], authority.public_bytes(serialization.Encoding.PEM))
    _write_private(files["certificate"], certificate.public_bytes(serialization.Encoding.PEM))
    _write_private(
        files["key"],
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    return files


def export_certificates(word: str) -> dict[str, Path]:
    """New files in a folder of the user's, for a cluster that is started by hand. Raises :class:`RequestError`."""
    folder = Path(word).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(folder.iterdir()):
            raise RequestError(
                Problem("TLS files get a folder of their own", f"{folder}, which is not empty", "Name a new one.")
            )
        return write_certificates(folder)
    except OSError as error:
        got = (error.strerror or str(error)).lower()
        raise RequestError(Problem(f"the folder {folder} cannot be written", got, "Name another one.")) from None


def share_certificates(folder: Path) -> dict[str, Path]:
    """Copies of this host's files in a folder that other hosts of this user read too. Who made it takes it away."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    files, shared = ensure_certificates(), tls_files(folder)
    for name, path in shared.items():
        _write_private(path, files[name].read_bytes())
    return shared


def security() -> Any:
    """Dask's ``Security`` that uses these files for every role and refuses a connection without them."""
    from distributed.security import Security

    files = tls_files()
    roles = {f"tls_{role}_{part}": str(files[name]) for role in ("scheduler", "worker", "client")
             for part, name in (("cert", "certificate"), ("key", "key"))}  # fmt: skip
    return Security(require_encryption=True, tls_ca_file=str(files["authority"]), **roles)


def _builder(subject: Any, issuer: Any, public_key: Any, valid_days: float) -> CertificateBuilder:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=valid_days))
    )


@contextlib.contextmanager
def _renewing(folder: Path) -> Iterator[None]:
    """One process at a time decides whether to renew, and does."""
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_private(path: Path, data: bytes) -> None:
    """Whole or not at all: a process that reads them meanwhile sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)
