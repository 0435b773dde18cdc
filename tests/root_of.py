"""The public root of a signer, as it is handed to others for their trust lists."""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from understudy.provenance.keys import Identity


def root_pem(identity: Identity) -> bytes:
    """The last certificate of the chain."""
    last = x509.load_pem_x509_certificates(identity.chain_pem)[-1]
    return last.public_bytes(Encoding.PEM)
