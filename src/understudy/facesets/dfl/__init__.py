"""The files of DFL: faces with metadata inside, `faceset.pak`, `meta.dat`."""

from understudy.facesets.dfl.face_file import read_face, write_face

__all__ = ["read_face", "write_face"]
