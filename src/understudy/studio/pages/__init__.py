"""The pages, in the order they stand in: one file each, entered here with one line."""

from understudy.studio.pages import home, jobs, masks, settings
from understudy.studio.visit import Page

PAGES: tuple[Page, ...] = (
    home.PAGE,
    masks.PAGE,
    jobs.PAGE,
    settings.PAGE,
)
