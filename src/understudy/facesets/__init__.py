"""Many faces on disk.

`dfl` reads and writes their files, `moves` moves them, `faceset` opens them as one; `sorting` and
`survey` look at all of them.
"""
