"""Who signs: the key this installation makes for itself, or the certificate a studio brings.

PEM files in, an `Identity` (chain and private key) out. The self-made pair is a leaf under a root
whose own key is thrown away at once, so nothing else can ever be signed under that root. Also the
folder of roots the user trusts. Knows nothing of manifests.
"""

import contextlib
import datetime
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from understudy.errors import ProvenanceError, from_os_error
from understudy.files import make_dir, read_bytes, temporary_path
from understudy.user_folder import data_dir

_LIFETIME = datetime.timedelta(days=365 * 25)
_CLOCK_SLACK = datetime.timedelta(days=1)
_PEM_LIMIT = 1 << 20
_PEM = serialization.Encoding.PEM
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_MIN_RSA_BITS = 2048
_USAGES = {
    "1.3.6.1.5.5.7.3.4",  # e-mail protection
    "1.3.6.1.5.5.7.3.36",  # document signing
    "1.3.6.1.4.1.311.76.59.1.9",  # document signing, as Microsoft numbers it
    "1.3.6.1.4.1.62558.2.1",  # C2PA claim signing
}

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Identity:
    """Certificates (leaf first) and the private key that signs in their name."""

    name: str
    algorithm: str
    chain_pem: bytes
    key_pem: bytes = field(repr=False)


def studio_identity() -> Identity:
    """The studio's own identity.

    Raises:
        ProvenanceError: its two files are not there, or may not sign.
    """
    certificate, private_key = studio_paths()
    if not certificate.exists() or not private_key.exists():
        raise ProvenanceError(
            certificate.parent,
            expected="certificate.pem and private-key.pem of the studio",
            found="not both of them",
            remedy="Put them there, or choose another --preset with understudy consent.",
        )
    return signer_from(certificate, private_key)


def identity_path() -> Path:
    """File of the key and certificates made by this installation."""
    return data_dir() / "signing" / "identity.pem"


def studio_paths() -> tuple[Path, Path]:
    """Where a studio puts its certificate chain and its private key, to sign with them always."""
    folder = data_dir() / "signing"
    return folder / "certificate.pem", folder / "private-key.pem"


def trust_dir() -> Path:
    """Folder of PEM files with the roots whose signers the user calls known."""
    return data_dir() / "trust"


def install_identity() -> Identity:
    """The studio's identity if its two files are there, else one of our own, made on first use.

    Two processes that make it at once end with the same one: the file appears whole, and the
    first to put it there wins.

    Raises:
        StorageError: it can't be written.
        ProvenanceError: a file there holds no key or no certificates, or may not sign.
    """
    certificate, private_key = studio_paths()
    if certificate.exists() or private_key.exists():
        return signer_from(certificate, private_key)
    path = identity_path()
    if not path.exists():
        make_dir(path.parent)
        _place_new(path, _self_made())
    return _identity(path, read_bytes(path, limit=_PEM_LIMIT))


def _place_new(path: Path, data: bytes) -> None:
    temporary = temporary_path(path)
    try:
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links: the last one wins, which is as good
            temporary.replace(path)
    except OSError as error:
        raise from_os_error(error, path, doing="write") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _self_made() -> bytes:
    root_key = ec.generate_private_key(ec.SECP256R1())
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    root_name = _name("Understudy self-made root")
    root = _certificate(root_name, root_key, root_name, root_key, ca=True)
    leaf = _certificate(_name("Understudy installation"), leaf_key, root_name, root_key, ca=False)
    return _key_pem(leaf_key) + leaf.public_bytes(_PEM) + root.public_bytes(_PEM)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Understudy (self-made key)"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SLACK)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if not ca:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def signer_from(certificate: Path, private_key: Path) -> Identity:
    """The identity of a studio: `certificate` holds its chain in PEM, `private_key` the key.

    Raises:
        FileError: one can't be read.
        ProvenanceError: they do not belong together or may not sign.
    """
    key_data = read_bytes(private_key, limit=_PEM_LIMIT)
    return _identity(certificate, key_data, read_bytes(certificate, limit=_PEM_LIMIT), private_key)


def _identity(
    path: Path, key_data: bytes, chain_data: bytes | None = None, key_path: Path | None = None
) -> Identity:
    key = _load_key(key_path or path, key_data)
    chain = _load_certificates(path, key_data if chain_data is None else chain_data)
    ordered = _leaf_first(path, chain, key)
    _check_leaf(path, ordered[0])
    subject = ordered[0].subject
    names = subject.get_attributes_for_oid(
        NameOID.ORGANIZATION_NAME
    ) or subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Identity(
        name=str(names[0].value) if names else subject.rfc4514_string(),
        algorithm=_algorithm(key_path or path, key),
        chain_pem=b"".join(each.public_bytes(_PEM) for each in ordered),
        key_pem=_key_pem(key),
    )


def _load_key(path: Path, data: bytes) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except TypeError as error:
        raise ProvenanceError(
            path,
            expected="a private key without a pass phrase",
            found="an encrypted one",
            remedy="Write it out decrypted, readable by you alone.",
        ) from error
    except ValueError as error:
        raise _no_pem(path, "a private key in PEM") from error
    if not isinstance(key, PrivateKey):
        raise _wrong_key(path, type(key).__name__)
    return key


def _algorithm(path: Path, key: PrivateKey) -> str:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if key.curve.name not in _CURVES:
            raise _wrong_key(path, key.curve.name)
        return _CURVES[key.curve.name]
    if key.key_size < _MIN_RSA_BITS:
        raise _wrong_key(path, f"RSA with {key.key_size} bits")
    return "ps256"


def _wrong_key(path: Path, found: str) -> ProvenanceError:
    return ProvenanceError(
        path,
        expected=f"a key of P-256, P-384, P-521, Ed25519 or RSA from {_MIN_RSA_BITS} bits",
        found=found,
        remedy="Ask your certificate authority for one of these.",
    )


def _no_pem(path: Path, expected: str) -> ProvenanceError:
    return ProvenanceError(
        path,
        expected=expected,
        found="something else",
        remedy="Restore the file; if it is the self-made one, move it away to have a new one made.",
    )


def _load_certificates(path: Path, data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise _no_pem(path, "certificates in PEM") from error


def _leaf_first(
    path: Path, chain: list[x509.Certificate], key: PrivateKey
) -> list[x509.Certificate]:
    """`chain` from the certificate of `key` upwards; others are left out."""
    public = key.public_key()
    left = list(chain)
    current = next((each for each in left if each.public_key() == public), None)
    if current is None:
        raise ProvenanceError(
            path,
            expected="the certificate of the private key",
            found=f"{len(chain)} certificate(s) of other keys",
            remedy="Name the certificate and the private key that were made together.",
        )
    ordered = []
    while current is not None:
        left.remove(current)
        ordered.append(current)
        issuer = current.issuer
        current = next((each for each in left if each.subject == issuer), None)
    return ordered


def _check_leaf(path: Path, leaf: x509.Certificate) -> None:
    now = datetime.datetime.now(datetime.UTC)
    complaint = ""
    if leaf.issuer == leaf.subject:
        complaint = "one that signed itself"
    elif not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        complaint = (
            f"one valid {leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%Y-%m-%d}"
        )
    elif _constraint_ca(leaf):
        complaint = "the certificate of an authority"
    elif not _may_sign(leaf):
        complaint = (
            "one without the usages digital signature and e-mail protection or document signing"
        )
    if complaint:
        raise ProvenanceError(
            path,
            expected="a certificate that may sign documents today",
            found=complaint,
            remedy="Ask your certificate authority for a document-signing certificate.",
        )


def _constraint_ca(leaf: x509.Certificate) -> bool:
    try:
        return leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _may_sign(leaf: x509.Certificate) -> bool:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return usage.digital_signature and any(oid.dotted_string in _USAGES for oid in extended)


def trusted_roots() -> str:
    """All certificates of the user's trust list as one PEM text; empty if there are none.

    Raises:
        ProvenanceError: a file there holds no certificates.
    """
    folder = trust_dir()
    if not folder.is_dir():
        return ""
    parts = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in {".pem", ".crt", ".cer"}:
            found = _load_certificates(path, read_bytes(path, limit=_PEM_LIMIT))
            parts += [each.public_bytes(_PEM).decode() for each in found]
    return "".join(parts)
