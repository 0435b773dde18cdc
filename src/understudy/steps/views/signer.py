"""Who signs this installation's films."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Signer:
    """A signer as it is shown, and where the files of a studio's own one belong."""

    name: str
    algorithm: str
    is_own: bool
    certificate: Path
    private_key: Path


def signer() -> Signer:
    """The signer; one of this installation's own is made if there is none.

    Raises:
        ProvenanceError: the files there hold none.
    """
    from understudy.provenance.keys import install_identity, studio_paths

    identity = install_identity()
    certificate, private_key = studio_paths()
    is_own = certificate.exists() and private_key.exists()
    return Signer(identity.name, identity.algorithm, is_own, certificate, private_key)
