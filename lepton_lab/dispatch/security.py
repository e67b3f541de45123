"""TLS between scheduler, worker and client: a private authority for this host, renewed in good time.

The authority's key is never written, so nothing else can be signed by it; certificate and key
of the cluster are files of mode 0600 in the state folder. Who cannot read them can neither
connect nor be connected to. When less than a third of their life is left there are new ones, for
clusters that start and, through :mod:`.renewal`, for those that run. Authorities that are not over
yet stay in the file behind the new one, so that both kinds understand each other meanwhile.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import platform
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import places
from ..errors import Problem, RequestError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, CertificateBuilder

VALID_DAYS = 90.0
"""How long certificates are good for. ``LEPTON_CERTIFICATE_DAYS`` says otherwise."""

RENEW_BELOW = 1 / 3
"""The share of their life below which certificates are renewed."""

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


def valid_days() -> float:
    """How long new certificates are good for. Raises :class:`RequestError` for a setting that is no such number."""
    word = os.environ.get("LEPTON_CERTIFICATE_DAYS")
    if not word:
        return VALID_DAYS
    try:
        days = float(word)
    except ValueError:
        days = 0.0
    if not 0 < days <= 825:
        do = "Set a number of days, such as 30."
        raise RequestError(Problem("LEPTON_CERTIFICATE_DAYS must be above 0 and at most 825", repr(word), do))
    return days


def ensure_certificates() -> dict[str, Path]:
    """This host's files, made new where they are missing, broken or near their end.

    Clusters of this host share them: a cluster that starts must not take them from one that runs.
    """
    files = tls_files()
    with _renewing(files["authority"].parent):
        if remaining_life(files) < RENEW_BELOW:
            write_certificates()
    return files


def remaining_life(files: dict[str, Path]) -> float:
    """The share of their life that the certificates still have, at most 1; 0 where they cannot be used."""
    try:
        shares = [life_left(files[name].read_bytes()) for name in ("authority", "certificate")]
        is_whole = files["key"].stat().st_size > 0
    except OSError:
        return 0.0
    return min(shares) if is_whole else 0.0


def life_left(pem: bytes) -> float:
    """The share, 0 to 1, of its life that a certificate (of several the first, the newest) still has."""
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    try:
        found = x509.load_pem_x509_certificate(pem)
        left = (found.not_valid_after_utc - now) / (found.not_valid_after_utc - _birth_of(found))
    except (ValueError, ZeroDivisionError):
        return 0.0
    return max(0.0, min(1.0, left))


def has_ended(path: Path) -> bool:
    """Whether a file holds certificates of which none is good any more. What cannot be read is judged by others."""
    from cryptography import x509

    try:
        return bool(x509.load_pem_x509_certificates(path.read_bytes())) and not _good_ones_in(path)
    except (OSError, ValueError):
        return False


def _birth_of(certificate: Certificate) -> datetime.datetime:
    return certificate.not_valid_before_utc + _BACKDATED


def write_certificates(folder: Path | None = None) -> dict[str, Path]:
    """Make a new authority and one certificate signed by it, for every role of a cluster."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    days = valid_days()
    authority_key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own: two authorities of one name in a file would be taken for each other.
    authority_name = named(f"{f'Lepton Lab on {platform.node()}'[:47]} {secrets.token_hex(8)}")
    may_sign = x509.KeyUsage(
        key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(may_sign, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        _builder(named("lepton-lab cluster"), authority_name, key.public_key(), days)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(signer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    files = tls_files(folder)
    authorities = [authority, *_good_ones_in(files["authority"])]
    _write_private(files["authority"], b"".join(each.public_bytes(serialization.Encoding.PEM) for each in authorities))
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


def _builder(subject: Any, issuer: Any, public_key: Any, days: float) -> CertificateBuilder:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _good_ones_in(path: Path) -> list[Certificate]:
    """The certificates in a file that are not over, in their order."""
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return []
    return [each for each in found if each.not_valid_after_utc > now]


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
