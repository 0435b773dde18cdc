"""The common face of the texture embedder: what the patterns of all faces share.

Numbers only, made by `scripts/identity_template` from synthetic people; no picture of a person
can be got back from them.
"""

import base64
import functools

import numpy as np
from jaxtyping import Float32

_LARGEST = 0.363536
_LEVELS = """
bzQPLh4agyslMYcRIREPEgwXJh8KJjg4Xs0rGkNjW2ieFRInaE5CLRQEXzwcKR2/RT1Qaxs6DgYfZMeJWR1SFB56IBqM3T40
GnA5HzMfCgkbHTBHRRQtN0pcSlwdCRBSUDooJwqMgCcqRMZrKTg5DRMfD0hmzYhANkQTLDIaI4mKS0h1xkA+WkhbFA8fRE4p
IyMMIkUsHRwfDDROVhk4N3K6SSJKdGAWDychEDA9PWTRghIzOBwxIhEkNhkqMYFmFFlWe7kWCjtcSE08DQMLJTshFSMYLGXO
KiVFVa9tExwzPiYFK0c3NVEVWMqQOS44QzxVKisxSSoqKC4mHS1JZS49UThHo1gzR1dca7wmO2JgTVg5FwxNOiAmIGU3NTJK
LFQ/GD93/5NNJz05PU0yOU5/UT8vUEIoRTAyLyIpPE47PTwsQ1xOZEgcHVZzV1M3HKOuY0xGmnYwKU80MFIpRXjmlVM5QDo7
LSU8SFBNQEl3REpZR2s9Ji1WYEZJQB4iSTk2MSMfQFhRPT4ulJ9XUkmteDApWC4kUDdQfOuFIjEzSTIkKT8rMTEwUTciVE5y
3iM8SGNGYz0RCBMsW2c1QF80T6xmOUJDXEs6NigvMBMfO1EgPx146ZsxSFRFVD8lMjswJjQ4UDw2NlR+RD1MOzxbUDgjIjyM
XyoxUE6H3jYYHE1VSBcVPjQ7EDZGTjcjLFjmrDdARlFSRD9JSX9FWUFrajdMXlVILTZDTklFSycwU3VjViccT2pyRzkeYFlN
Pz1iYkEpQj4sVTBMc/euQUNSUE5EQE9IbDtMQ3luOUltWVAwQU5ke0A7JTtIYVRMMiBMR1lMRydWUkBNSl9hPTZGPC8+LEN1
9ZojJyxGODxDTS1TLk02JTstNpGCMD5STW7NPRoeNTNfjElBUEA+aFI3IUE/ODEqSTRMKUM4Sw8QD13miSc+Mzw0GxMsMR0Y
KkcuGjM0aps7GUU2OV5FKwsnOmUtFyMwVJT/QRokSFdLEQw+MjgTP11OMTYYSdiYXkZMJDosFx4ySk82NWtQREo1R04VOERF
N0RaJDNiRykmGBRefpI0Nxt3ekY9VnNnMSdRQyRzOn2D/5JHGDQqHTpDMi9VWEQtP0UyU0gmFxVHYoOlIyQoRE9HUk0bH1VD
RktUF25nTmh3eWI+O0YrLTMgQoL9dRgZKzsxSTgnFyIfOikWERw1bz0aHEhQeeoyEyUsOJCcLRsxQ0lzQRgNRTRCIA9VPVs2
SzVMCwgDStM=
"""
_SPREAD = """
soRyjoJ0nnJ2lrqIipXEcHyX6eRtbKGV//+JY1yCnPDgdnGJpOb/hWhd3fWSZ3D/mIVplIuOZmZuf6g=
"""


@functools.cache
def common_face() -> Float32[np.ndarray, "c p"]:
    """Mean roots of the shares of each pattern (column) in each cell."""
    return (_unpack(_LEVELS) * np.float32(_LARGEST / 255)).reshape((16, 59))


@functools.cache
def pattern_spread() -> Float32[np.ndarray, " p"]:
    """How much each pattern's root of share differs between faces."""
    return _unpack(_SPREAD) / np.float32(2550)


def _unpack(text: str) -> Float32[np.ndarray, " n"]:
    return np.frombuffer(base64.b64decode(text), np.uint8).astype(np.float32)
