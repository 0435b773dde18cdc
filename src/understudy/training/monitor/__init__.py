"""How training goes: health, measures, previews, curves."""
