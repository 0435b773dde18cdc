"""Filters and measures of pictures under the names the field knows them by.

Pictures in, pictures or numbers out; knows nothing of faces or files.
"""

from understudy.imaging.sharpness import sharpness_cpbd

__all__ = ["sharpness_cpbd"]
