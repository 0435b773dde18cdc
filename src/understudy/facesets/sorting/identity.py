"""Whose face each one is: embeddings of a faceset gathered into people.

Embeddings in, of any embedder; a label per face, an order, or a yes and no out. Faces are first
gathered into small groups that are surely one person's, then the groups into people, so that time
and memory grow with the number of faces and not with its square. Knows nothing of files, names or
pictures.
"""

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from understudy.faces.identity.registry import Embeddings

_BLOCK = 1024
# Faces of one person in like pose and light. Too many groups are gathered more coarsely, at first
# only as far as one person reaches; beyond the larger number memory would not do.
_SURELY = 0.6
_COARSER = 0.9
_MANY_GROUPS = 2000
_MOST_GROUPS = 12_000
# How alike two faces of one person are in the middle: what a single face is trusted with, and how
# many pairs of a group's own it takes to outweigh that.
_USUAL = 0.61
_TRUST = 4.0


def keep_like(
    references: Float32[np.ndarray, "r d"], embeddings: Embeddings, *, same_person: float
) -> Bool[np.ndarray, " n"]:
    """Which faces are the person's that the references show.

    With several references (other poses, other light) being like one of them is enough.
    """
    likeness = np.full(len(embeddings), -np.inf, np.float32)
    for start in range(0, len(embeddings), _BLOCK):
        block = slice(start, start + _BLOCK)
        likeness[block] = (embeddings[block] @ references.T).max(axis=1, initial=-np.inf)
    return np.asarray(likeness >= same_person)


def identity_order(
    embeddings: Embeddings, *, same_person: float
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Indices that put the largest person first, each with the most typical face first; and labels.

    Labels are in the order of the faces as they were given; 0 is the largest person.
    """
    labels = find_people(embeddings, same_person=same_person)
    likeness = np.zeros(len(labels), np.float32)
    for label in range(int(labels.max(initial=-1)) + 1):
        members = np.flatnonzero(labels == label)
        centre = embeddings[members].mean(axis=0)
        likeness[members] = embeddings[members] @ centre
    order = np.lexsort((np.arange(len(labels)), -likeness, labels))
    return order.astype(np.int64), labels


def find_people(embeddings: Embeddings, *, same_person: float) -> Int64[np.ndarray, " n"]:
    """A label for each face: 0 for those of the person with most faces, 1 for the next, and so on.

    `same_person` is the embedder's. People of equal number are in the order of their first faces.
    """
    if not len(embeddings):
        return np.zeros(0, np.int64)
    groups = _gather(embeddings, same_person)
    people = _join(embeddings, groups, same_person / _USUAL)[groups]
    _, first, inverse, counts = np.unique(
        people, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(counts), np.int64)
    rank[np.lexsort((first, -counts))] = np.arange(len(counts))
    return rank[inverse]


def _gather(embeddings: Embeddings, same_person: float) -> Int64[np.ndarray, " n"]:
    """A group number for each face: faces surely alike the group's first face."""
    enough = _SURELY
    groups, leaders = _follow(embeddings, enough)
    while len(leaders) > (_MANY_GROUPS if enough * _COARSER > same_person else _MOST_GROUPS):
        enough *= _COARSER
        coarse, chosen = _follow(embeddings[leaders], enough)
        groups, leaders = coarse[groups], leaders[chosen]
    return groups


def _follow(
    vectors: Embeddings, enough: float
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " g"]]:
    """Group numbers, and the index of the face each group began with.

    A face joins the leader it is most like, if like enough, or begins a group.
    """
    groups = np.full(len(vectors), -1, np.int64)
    leaders: list[int] = []
    for start in range(0, len(vectors), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(vectors)))
        if leaders:
            likeness = vectors[block] @ vectors[leaders].T
            best = likeness.argmax(axis=1)
            near = likeness[np.arange(len(block)), best] >= enough
            groups[block[near]] = best[near]
        while True:
            left = block[groups[block] < 0]
            if not len(left):
                break
            like = left[vectors[left] @ vectors[left[0]] >= enough]
            groups[like] = groups[left[0]] = len(leaders)
            leaders.append(int(left[0]))
    return groups, np.array(leaders, np.int64)


def _join(
    embeddings: Embeddings, groups: Int64[np.ndarray, " n"], enough: float
) -> Int64[np.ndarray, " g"]:
    """The person of each group: always the two most alike are joined, until none is alike enough.

    Likeness is that of the groups' means, in units of how alike faces are within each group: so a
    group of changing poses is not further from its own person's other faces than a calm one.
    """
    num = int(groups.max()) + 1
    counts = np.bincount(groups, minlength=num).astype(np.float64)
    sums = np.zeros((num, embeddings.shape[1]), np.float32)
    np.add.at(sums, groups, embeddings)
    people = np.arange(num)
    likeness = _likeness(sums, counts, sums, counts)
    np.fill_diagonal(likeness, -np.inf)
    best = likeness.argmax(axis=1)
    most = likeness[people, best]
    for _ in range(num - 1):
        kept = int(most.argmax())
        if most[kept] < enough:
            break
        gone = int(best[kept])
        people[people == gone] = kept
        sums[kept] += sums[gone]
        counts[kept] += counts[gone]
        row = _likeness(sums[kept : kept + 1], counts[kept : kept + 1], sums, counts)[0]
        row[np.isneginf(likeness[kept])] = -np.inf
        row[[kept, gone]] = -np.inf
        likeness[kept], likeness[:, kept] = row, row
        likeness[gone], likeness[:, gone] = -np.inf, -np.inf
        stale = np.isin(best, (kept, gone)) | (row > most)
        best[stale] = likeness[stale].argmax(axis=1)
        most[stale] = likeness[stale, best[stale]]
    return people


def _likeness(
    sums: Float32[np.ndarray, "m d"],
    counts: Float64[np.ndarray, " m"],
    other_sums: Float32[np.ndarray, "n d"],
    other_counts: Float64[np.ndarray, " n"],
) -> Float32[np.ndarray, "m n"]:
    means = sums / (counts * _evenness(sums, counts))[:, None].astype(np.float32)
    others = other_sums / (other_counts * _evenness(other_sums, other_counts))[:, None].astype(
        np.float32
    )
    return np.asarray(means @ others.T)


def _evenness(
    sums: Float32[np.ndarray, "m d"], counts: Float64[np.ndarray, " m"]
) -> Float64[np.ndarray, " m"]:
    """Root of the mean likeness of the pairs within each group; the usual one where few are."""
    squares = (sums.astype(np.float64) ** 2).sum(axis=1) - counts
    pairs = counts * (counts - 1)
    return np.asarray(np.sqrt((squares + _TRUST * _USUAL) / (pairs + _TRUST)))
