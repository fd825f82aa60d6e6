"""Single contractions and permutations to measure the kernels with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import prod

# The 24 contractions of the Tensor Contraction Code Generator benchmark v0.1 (Springer &
# Bientinesi, "Design of a high-performance GEMM-like tensor-tensor multiplication", 2018),
# column-major, as result-left-right, sorted from bound by memory to bound by arithmetic.
_TCCG = """
    abcde-efbad-cf abcde-efcad-bf abcd-dbea-ec abcde-ecbfa-fd abcd-deca-be abc-bda-dc
    abcd-ebad-ce abcdef-dega-gfbc abcdef-dfgb-geac abcdef-degb-gfac abcdef-degc-gfab abc-dca-bd
    abcd-ea-ebcd abcd-eb-aecd abcd-ec-abed abc-adec-ebd ab-cad-dcb ab-acd-dbc
    abc-acd-db abc-adc-bd ab-ac-cb abcd-aebf-fdec abcd-eafd-fbec abcd-aebf-dfce
"""
TCCG = _TCCG.split()
# The tensor-times-matrix cases have one short free index.
SHORT = {
    "abcde-efbad-cf": "c",
    "abcde-efcad-bf": "b",
    "abcd-dbea-ec": "c",
    "abcde-ecbfa-fd": "d",
    "abcd-deca-be": "b",
    "abc-bda-dc": "c",
    "abcd-ebad-ce": "c",
    "abc-dca-bd": "b",
}
FIRST_MULTIPLE, MULTIPLE, SHORT_EXTENT = 24, 4, 24

Case = tuple[str, dict[str, int]]


def nearest(x: float, unit: int) -> int:
    return max(unit, round(x / unit) * unit)


def tccg_case(case: str, entries: float) -> Case:
    """The row-major subscripts and the extents for a largest tensor of about so many entries."""
    tensors = case.split("-")
    extents = dict.fromkeys(sorted(set("".join(tensors))), 0)
    average = entries ** (1 / max(map(len, tensors)))
    first = {tensor[0] for tensor in tensors}
    for index in extents:
        # unit-stride extents fill vectors, the others need not
        extents[index] = nearest(average, FIRST_MULTIPLE if index in first else MULTIPLE)
    if case in SHORT:
        extents[SHORT[case]] = SHORT_EXTENT
    out, left, right = (tensor[::-1] for tensor in tensors)
    return f"{left},{right}->{out}", extents


def gemm_cases() -> Iterator[Case]:
    """Matrix products: small, square, and thin in each direction."""
    shapes = [(n, n, n) for n in (8, 16, 24, 32, 48, 64, 100, 128, 200, 256, 400, 512, 1000, 2000)]
    shapes += [(4, 1000, 1000), (1000, 4, 1000), (1000, 1000, 4), (16, 2000, 300), (2000, 16, 300)]
    shapes += [(11, 388, 294), (300, 300, 10), (1, 1000, 1000), (1000, 1, 1000), (3000, 3000, 1)]
    shapes += [(1, 1, 100000), (90, 180, 90), (180, 90, 90), (2, 100000, 2), (100000, 2, 2)]
    shapes += [(4, 100000, 50), (16, 20000, 300), (16, 4096, 512)]  # a matrix that no cache holds
    for m, n, k in shapes:
        yield "mk,kn->mn", {"m": m, "n": n, "k": k}


def batched_cases() -> Iterator[Case]:
    """Many small products of one shape, elementwise products and broadcasts."""
    for size in (2, 3, 4, 8, 16, 32):
        batch = max(64, 400_000 // size**3)
        yield "bmk,bkn->bmn", {"b": batch, "m": size, "n": size, "k": size}
    yield "bmk,kn->bmn", {"b": 1000, "m": 16, "n": 16, "k": 16}
    yield "bmk,bk->bm", {"b": 5000, "m": 16, "k": 16}
    yield "bi,bi->bi", {"b": 1000, "i": 300}
    yield "bi,bi->b", {"b": 1000, "i": 300}
    yield "bi,b->bi", {"b": 1000, "i": 300}


def odd_cases() -> Iterator[Case]:
    """Small and odd shapes: axes of extent 1, a few rows or columns, batches of tiny products in
    every order of axes, outer and elementwise products."""
    for a, b, c in ((1, 1, 1), (5, 1, 1), (1, 4, 1), (1, 17, 1), (4, 1, 4), (7, 1, 5), (1, 3, 3)):
        yield "zab,zbc->zac", {"z": 20000, "a": a, "b": b, "c": c}
    for a, b, c in ((2, 2, 2), (3, 3, 3), (4, 4, 4), (5, 5, 5), (4, 4, 1), (1, 8, 8)):
        yield "zab,zbc->zac", {"z": 20000, "a": a, "b": b, "c": c}
    for subscripts in [
        "abz,bcz->acz",
        "abz,bcz->zac",
        "zab,zbc->acz",
        "azb,bzc->azc",
        "abz,bc->acz",
    ]:
        for n in (3, 4):
            yield subscripts, {"a": n, "b": n, "c": n, "z": 1000}
    for subscripts in [
        "zab,bc->zac",
        "ab,zbc->zac",
        "zab,zcb->zac",
        "zba,zbc->zac",
        "zab,zbc->zca",
    ]:
        yield subscripts, {"a": 3, "b": 3, "c": 3, "z": 5000}
    for k, n in ((1, 5), (2, 2), (2, 17), (3, 1), (3, 5), (3, 17), (5, 3), (5, 33), (7, 7)):
        yield "mk,kn->mn", {"m": 20000, "k": k, "n": n}
    for subscripts in [
        "mk,kn->mn",
        "km,kn->mn",
        "mk,nk->mn",
        "mk,kn->nm",
        "km,kn->nm",
        "km,mn->kn",
    ]:
        for k, n in ((4, 4), (5, 17)):
            yield subscripts, {"m": 20000, "k": k, "n": n}
    for i, j in ((30, 40), (100, 100), (300, 10), (7, 500), (1000, 3)):
        yield "i,j->ij", {"i": i, "j": j}
    for n in (3, 16):
        for subscripts in ("zi,zj->zij", "zi,zi->z", "zij,zj->zi", "zi,zij->zj", "zij,zij->z"):
            yield subscripts, {"z": 5000, "i": n, "j": n}
        for subscripts in ("ij,i->ij", "ij,j->ij", "ij,j->i"):
            yield subscripts, {"i": 3000, "j": n}
    for subscripts in ("ij,ji->ij", "ij,ji->"):
        yield subscripts, {"i": 100, "j": 100}


def pair_cases() -> Iterator[Case]:
    """Tensors whose every extent is 2: a large one meets a gate, and two large ones meet."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"
    for rank in (16, 20, 22, 24, 26):
        big = letters[:rank]
        for name in ((0, 1), (rank // 2, rank - 1), (rank - 2, rank - 1)):
            gate = "".join(big[i] for i in name)
            out = big.replace(gate[0], "Y").replace(gate[1], "Z")
            yield f"{big},YZ{gate}->{out}", dict.fromkeys(big + "YZ", 2)
    for rank in (12, 16, 18):
        left, right = letters[:rank], letters[rank // 2 : rank + rank // 2]
        left = left[::2] + left[1::2]
        out = "".join(sorted(set(left) ^ set(right), key=lambda x: ((ord(x) * 7) % 11, x)))
        yield f"{left},{right}->{out}", dict.fromkeys(left + right, 2)


def permutation_cases(entries: int) -> Iterator[Case]:
    """Copies into another order of axes, each of about so many entries."""
    for order in ("ba", "acb", "bac", "cba", "dcba", "bdac", "acbd", "cdab", "edcba", "fedcba"):
        extent = round(entries ** (1 / len(order)))
        yield f"{''.join(sorted(order))}->{order}", dict.fromkeys(order, extent)
    rank = entries.bit_length() - 1
    letters = "abcdefghijklmnopqrstuvwxyzABCDEF"[:rank]
    for order in (letters[::-1], letters[1::2] + letters[::2], letters[:-3][::-1] + letters[-3:]):
        yield f"{letters}->{order}", dict.fromkeys(letters, 2)
    skinny = {"a": max(1, entries // 4), "b": 4}
    yield "ab->ba", skinny
    yield "ba->ab", skinny


_EXTENTS = (1, 2, 2, 3, 4, 5, 7, 8, 10, 12, 16, 17, 24, 31, 32, 33, 50, 64, 65, 100, 128, 150, 256)
_LONG = (300, 500, 1000, 1024, 2000, 4096)
_LARGEST = 32 << 20  # bytes


def random_permutations(seed: int, count: int, itemsize: int) -> Iterator[Case]:
    """Copies of 256 bytes to 32 MB into another order of up to 7 axes, or of many of extent 2; in
    half of them two axes trade places."""
    choose = random.Random(seed)
    while count:
        rank = choose.randint(8, 23) if choose.random() < 0.15 else choose.randint(2, 7)
        twos = rank > 7 or choose.random() < 0.05
        extents = [2 if twos else choose.choice(_EXTENTS + _LONG) for _ in range(rank)]
        order = choose.sample(range(rank), rank)
        if choose.random() < 0.5:
            i, j = choose.sample(range(rank), 2)
            order = list(range(rank))
            order[i], order[j] = j, i
        moved = [i for i in order if extents[i] > 1]
        if not 256 <= prod(extents) * itemsize <= _LARGEST or moved == sorted(moved):
            continue
        letters = "abcdefghijklmnopqrstuvwxyz"[:rank]
        yield f"{letters}->{''.join(letters[i] for i in order)}", dict(zip(letters, extents))
        count -= 1


def random_contractions(seed: int, count: int, itemsize: int) -> Iterator[Case]:
    """Pairs with up to 3 axes in a group, up to 32 MB and 10^8 multiply-adds; half in any order."""
    choose = random.Random(seed)
    while count:
        letters = iter("abcdefghijkl")
        batch = [next(letters) for _ in range(choose.choice((0, 0, 0, 1)))]
        m, n, k = ([next(letters) for _ in range(choose.choice((0, 1, 1, 2, 3)))] for _ in "mnk")
        terms = [batch + m + k, batch + k + n, batch + m + n]
        if choose.random() < 0.5:
            for term in terms:
                choose.shuffle(term)
        twos = choose.random() < 0.15
        extents = {i: 2 if twos else choose.choice(_EXTENTS + _LONG) for i in batch + m + n + k}
        entries = [prod(extents[i] for i in term) for term in terms]
        if not terms[0] or not terms[1] or max(entries) < 64 or prod(extents.values()) > 1e8:
            continue
        if sum(entries) * itemsize > _LARGEST:
            continue
        left, right, out = map("".join, terms)
        yield f"{left},{right}->{out}", extents
        count -= 1
