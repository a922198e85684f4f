"""Certificates of a broker's servers, signed by an authority of the facility's own."""

import ipaddress
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nexuslims_shared.errors import SettingsError
from nexuslims_shared.settings import make_folder

AUTHORITY: Final = "ca.crt"
CERTIFICATE: Final = "server.crt"
KEY: Final = "server.key"

_AUTHORITY_KEY: Final = "ca.key"
_LIFE_OF_AUTHORITY: Final = timedelta(days=3650)
_LIFE_OF_SERVER: Final = timedelta(days=825)
"""What clients accept at most of a certificate that no public authority signed."""


def write(folder: Path, hosts: Iterable[str]) -> dict[Path, str]:
    """Make what is not there of an authority and of a certificate for the servers.

    Parameters
    ----------
    folder
        Where to; a certificate and key that are there are used, whoever signed them.
    hosts
        Names and addresses of the servers.

    Raises
    ------
    SettingsError
        If the folder cannot be made, the authority's key is gone, or a file cannot be read.
    """
    make_folder(folder, "DIR/tls").chmod(0o700)
    paths = {name: folder / name for name in (AUTHORITY, _AUTHORITY_KEY, CERTIFICATE, KEY)}
    if not paths[AUTHORITY].exists():
        _make_authority(paths[AUTHORITY], paths[_AUTHORITY_KEY])
    wanted = tuple(dict.fromkeys(hosts))
    if not (paths[CERTIFICATE].exists() and paths[KEY].exists()):
        _make_certificate(paths, wanted)
    return {
        paths[AUTHORITY]: "certificate of the authority: for every client",
        paths[CERTIFICATE]: _describe(_read(paths[CERTIFICATE]), wanted),
        paths[KEY]: "its key",
    }


def _describe(certificate: x509.Certificate, hosts: Iterable[str]) -> str:
    """Return until when and for whom it is; one that was there may be for fewer hosts."""
    until = certificate.not_valid_after_utc
    names = {name.lower() for name in _names(certificate)}
    absent = [one for one in hosts if not {one.lower(), _any_in_domain(one)} & names]
    over = " (over: clients refuse it)" if until < datetime.now(UTC) else ""
    refused = f"; clients refuse it at {', '.join(absent)}" if absent else ""
    remedy = f"; delete {CERTIFICATE} to have it made anew" if over or absent else ""
    return f"certificate of the servers, until {until:%Y-%m-%d}{over}{refused}{remedy}"


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []  # clients do not look at the subject any more
    addresses = found.get_values_for_type(x509.IPAddress)
    return [*found.get_values_for_type(x509.DNSName), *map(str, addresses)]


def _any_in_domain(host: str) -> str:
    return f"*.{host.lower().partition('.')[2]}"


def _make_authority(certificate: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "NexusLIMS broker authority")])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _begin(name, name, key.public_key(), _LIFE_OF_AUTHORITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    _write_key(key_file, key)
    _write(certificate, builder.sign(key, hashes.SHA256()))


def _make_certificate(paths: dict[str, Path], hosts: tuple[str, ...]) -> None:
    authority = _read(paths[AUTHORITY])
    try:
        signer = serialization.load_pem_private_key(paths[_AUTHORITY_KEY].read_bytes(), None)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{paths[_AUTHORITY_KEY]} cannot be read ({error}): put {CERTIFICATE} and {KEY} of your"
            f" own beside it, or delete {paths[AUTHORITY]} to have a new authority made"
        ) from error
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise SettingsError(f"{paths[_AUTHORITY_KEY]}: not a key of an elliptic curve")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:64])])
    # servers of a cluster are clients of each other
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        _begin(name, authority.subject, key.public_key(), _LIFE_OF_SERVER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(map(_general_name, hosts)), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(issuer, critical=False)
    )
    _write_key(paths[KEY], key)
    _write(paths[CERTIFICATE], builder.sign(signer, hashes.SHA256()))


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # of hosts whose clocks differ
        .not_valid_after(now + life)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _read(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read as a certificate ({error})") from error


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
