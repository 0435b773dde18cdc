"""Keys: made once, kept private, chained as C2PA wants; a studio's own are checked first."""

import datetime
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from root_of import root_pem
from understudy.errors import FileError, ProvenanceError
from understudy.provenance import keys
from understudy.provenance.keys import (
    PrivateKey,
    identity_path,
    install_identity,
    signer_from,
    studio_paths,
)
from understudy.provenance.mark import MarkDetails, sign
from understudy.provenance.verify import verify

PEM = serialization.Encoding.PEM


def test_made_once_private_and_chained() -> None:
    first = install_identity()
    assert install_identity() == first
    if os.name == "posix":
        assert stat.S_IMODE(identity_path().stat().st_mode) == 0o600
    leaf, root = x509.load_pem_x509_certificates(first.chain_pem)
    leaf.verify_directly_issued_by(root)
    assert root.public_bytes(PEM) == root_pem(first)
    basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert not basic.ca
    assert usage.digital_signature
    assert list(extended) == [ExtendedKeyUsageOID.EMAIL_PROTECTION]
    assert leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert leaf.not_valid_after_utc.year - datetime.datetime.now(datetime.UTC).year >= 20
    assert b"PRIVATE" not in repr(first).encode()
    assert [each.name for each in identity_path().parent.iterdir()] == ["identity.pem"]


def test_processes_at_once_end_with_one_key(home: Path) -> None:
    code = "from understudy.provenance.keys import install_identity as i; print(hash(i().key_pem))"
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    runs = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    printed = {run.communicate(timeout=60)[0] for run in runs}
    assert all(run.returncode == 0 for run in runs)
    assert len(printed) == 1
    assert [each.name for each in (home / "signing").iterdir()] == ["identity.pem"]


def test_damaged_key_is_told_not_replaced() -> None:
    install_identity()
    identity_path().write_bytes(identity_path().read_bytes()[:300])
    with pytest.raises(ProvenanceError, match=r"identity\.pem"):
        install_identity()
    assert identity_path().stat().st_size == 300


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="the XDG standard is Linux's")
def write_key(path: Path, key: PrivateKey, password: bytes | None = None) -> Path:
    cipher: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        cipher = serialization.BestAvailableEncryption(password)
    path.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, cipher))
    return path


def studio(folder: Path, key: PrivateKey, *, root_first: bool = False) -> tuple[Path, Path]:
    """A studio's certificate chain and key, made by an authority of its own."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    authority = keys._name("Studio authority")
    root = keys._certificate(authority, root_key, authority, root_key, ca=True)
    public = key.public_key()
    leaf = (
        x509.CertificateBuilder()
        .subject_name(keys._name("Studio"))
        .issuer_name(authority)
        .public_key(public)
        .serial_number(7)
        .not_valid_before(root.not_valid_before_utc)
        .not_valid_after(root.not_valid_after_utc)
    )
    template = keys._certificate(authority, root_key, authority, root_key, ca=False)
    for extension in template.extensions:
        if not isinstance(extension.value, x509.SubjectKeyIdentifier):
            leaf = leaf.add_extension(extension.value, critical=extension.critical)
    leaf = leaf.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    made = leaf.sign(root_key, keys.hashes.SHA256())
    chain = [root, made] if root_first else [made, root]
    certificate = folder / "chain.pem"
    certificate.write_bytes(b"".join(each.public_bytes(PEM) for each in chain))
    return certificate, write_key(folder / "key.pem", key)


@pytest.mark.parametrize(
    ("make", "algorithm"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), "es256"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "es384"),
        (lambda: rsa.generate_private_key(65537, 2048), "ps256"),
        (ed25519.Ed25519PrivateKey.generate, "ed25519"),
    ],
)
def test_studio_certificate_signs(clips: Path, tmp_path: Path, make, algorithm: str) -> None:
    identity = signer_from(*studio(tmp_path, make(), root_first=True))
    assert identity.algorithm == algorithm
    sign(
        clips / "film.mp4",
        tmp_path / "out.mp4",
        details=MarkDetails(consent="consent: not recorded"),
        identity=identity,
    )
    assert verify(tmp_path / "out.mp4").integrity == "intact"


def test_studio_files_in_the_home_folder_are_used_always(home: Path) -> None:
    (home / "signing").mkdir()
    certificate, key = studio(home / "signing", ec.generate_private_key(ec.SECP256R1()))
    certificate.rename(studio_paths()[0])
    with pytest.raises(FileError, match=r"private-key\.pem"):
        install_identity()
    key.rename(studio_paths()[1])
    subject = x509.load_pem_x509_certificates(install_identity().chain_pem)[0].subject
    assert "Studio" in subject.rfc4514_string()
    assert not identity_path().exists()


def test_unfit_certificates_are_told(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate, key_path = studio(tmp_path, key)
    stranger = write_key(tmp_path / "stranger.pem", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ProvenanceError, match="of other keys"):
        signer_from(certificate, stranger)
    with pytest.raises(ProvenanceError, match="pass phrase"):
        signer_from(certificate, write_key(tmp_path / "locked.pem", key, b"secret"))
    with pytest.raises(ProvenanceError, match="certificates in PEM"):
        signer_from(key_path, key_path)
    with pytest.raises(ProvenanceError, match="private key in PEM"):
        signer_from(certificate, certificate)
    name = keys._name("Alone")
    for ca, found in ((False, "signed itself"), (True, "signed itself")):
        alone = keys._certificate(name, key, name, key, ca=ca)
        (tmp_path / "alone.pem").write_bytes(alone.public_bytes(PEM))
        with pytest.raises(ProvenanceError, match=found):
            signer_from(tmp_path / "alone.pem", key_path)
    authority = keys._certificate(name, key, keys._name("Above"), key, ca=True)
    (tmp_path / "authority.pem").write_bytes(authority.public_bytes(PEM))
    with pytest.raises(ProvenanceError, match="of an authority"):
        signer_from(tmp_path / "authority.pem", key_path)
    short, short_key = studio(tmp_path, rsa.generate_private_key(65537, 1024))  # noqa: S505
    with pytest.raises(ProvenanceError, match="1024 bits"):
        signer_from(short, short_key)
