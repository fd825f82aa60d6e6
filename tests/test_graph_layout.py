"""Layouts: joined vertices near, others apart, the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from tensornet.graph.layout import layout


def ring_of(n: int) -> list[tuple[int, int]]:
    return [(k, (k + 1) % n) for k in range(n)]


def test_a_chain_is_a_straight_line_in_order() -> None:
    points = layout(12, [(k, k + 1) for k in range(11)])
    np.testing.assert_allclose(points[:, 0], np.arange(12), atol=0.01)
    np.testing.assert_allclose(points[:, 1], 0, atol=0.01)


def test_a_ring_is_round() -> None:
    points = layout(20, ring_of(20))
    radii = np.linalg.norm(points - points.mean(axis=0), axis=1)
    assert np.ptp(radii) < 0.05 * radii.mean()


def test_joined_vertices_are_about_one_apart_and_others_never_meet() -> None:
    rows, columns = 6, 9
    pairs = [(k, k + 1) for k in range(rows * columns - 1) if (k + 1) % columns]
    pairs += [(k, k + columns) for k in range((rows - 1) * columns)]
    points = layout(rows * columns, pairs)
    lengths = np.linalg.norm(points[[a for a, _ in pairs]] - points[[b for _, b in pairs]], axis=1)
    assert 0.5 < lengths.min() <= lengths.max() < 1.6
    apart = np.linalg.norm(points[:, None] - points, axis=2) + 9 * np.eye(len(points))
    assert apart.min() > 0.4
    assert np.ptp(points[:, 0]) > np.ptp(points[:, 1])


def test_vertices_with_the_same_neighbours_are_drawn_apart() -> None:
    points = layout(9, [(0, k) for k in range(1, 9)])  # a star
    apart = np.linalg.norm(points[1:, None] - points[1:], axis=2) + 9 * np.eye(8)
    assert apart.min() > 0.3


def test_components_lie_side_by_side() -> None:
    n = 6
    pairs = [(6 * part + a, 6 * part + b) for part in range(5) for a, b in ring_of(n)]
    points = layout(32, pairs)  # and two vertices alone
    boxes = [points[6 * part : 6 * part + 6] for part in range(5)] + [points[30:31], points[31:]]
    for k, one in enumerate(boxes):
        for two in boxes[:k]:
            above = np.maximum(one.min(axis=0), two.min(axis=0))
            below = np.minimum(one.max(axis=0), two.max(axis=0))
            assert (above - below).max() > 1


@pytest.mark.parametrize("n", [0, 1, 2, 3, 50, 1500])
def test_layouts_are_finite_and_always_the_same(n: int) -> None:
    rng = np.random.default_rng(n)
    pairs = [(int(a), int(b)) for a, b in rng.integers(0, max(n, 1), (2 * n, 2))]
    points = layout(n, pairs)
    assert points.shape == (n, 2)
    assert np.isfinite(points).all()
    np.testing.assert_array_equal(points, layout(n, pairs))
