"""Colour transfers, one module per method; importing this package fills the lists."""

from understudy.imaging.color import idt as idt
from understudy.imaging.color import linear as linear
from understudy.imaging.color import mix as mix
from understudy.imaging.color import none as none
from understudy.imaging.color import rct as rct
from understudy.imaging.color import sot as sot
from understudy.imaging.color.methods import COLOR_FITS, COLOR_TRANSFERS, ColorMap, ColorTransfer
from understudy.imaging.color.quick import QUICK_TRANSFERS

__all__ = ["COLOR_FITS", "COLOR_TRANSFERS", "QUICK_TRANSFERS", "ColorMap", "ColorTransfer"]
