"""TLS between scheduler, worker and client of this host: a private authority, new at each start.

The authority's key is never written; certificate and key of the cluster are files of
mode 0600 in the state folder. Who cannot read them can neither connect nor be connected to.
"""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import places

if TYPE_CHECKING:
    from cryptography.x509 import CertificateBuilder

_VALID_DAYS = 365
_FILES = {"authority": "authority.pem", "certificate": "cluster.pem", "key": "cluster.key"}


def tls_files() -> dict[str, Path]:
    """``authority``, ``certificate`` and ``key``: where they are, whether or not they exist."""
    folder = places.state_dir() / "tls"
    folder.mkdir(exist_ok=True, mode=0o700)
    return {name: folder / file for name, file in _FILES.items()}


def write_certificates() -> dict[str, Path]:
    """Make a new authority and one certificate signed by it, for every role on this host."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = named(f"Lepton Lab on {platform.node()}"[:64])
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(named("lepton-lab cluster"), authority_name, key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    files = tls_files()
    _write_private(files["authority"], authority.public_bytes(serialization.Encoding.PEM))
    _write_private(files["certificate"], certificate.public_bytes(serialization.Encoding.PEM))
    _write_private(
        files["key"],
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    return files


def security() -> Any:
    """Dask's ``Security`` that uses these files for every role and refuses a connection without them."""
    from distributed.security import Security

    files = tls_files()
    roles = {f"tls_{role}_{part}": str(files[name]) for role in ("scheduler", "worker", "client")
             for part, name in (("cert", "certificate"), ("key", "key"))}  # fmt: skip
    return Security(require_encryption=True, tls_ca_file=str(files["authority"]), **roles)


def _builder(subject: Any, issuer: Any, public_key: Any) -> CertificateBuilder:
    from cryptography import x509

    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_VALID_DAYS))
    )


def _write_private(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
