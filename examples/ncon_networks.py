"""Networks as lists of labels: ncon with summed, open and batch labels.

Positive labels are summed, negative ones are axes of the result, in the order -1, -2, ...

    python examples/ncon_networks.py
"""

from __future__ import annotations

import numpy as np

import tensornet as tn


def check(what: str, value: np.ndarray, expected: np.ndarray) -> None:
    print(f"{what:48} shape {np.shape(value)}, norm {np.linalg.norm(value):.12f}")
    if not np.allclose(value, expected, rtol=1e-12):
        raise SystemExit(f"{what} is wrong")


def main() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((4, 5)), rng.standard_normal((5, 6))
    check("a matrix product", tn.ncon([a, b], [[-1, 1], [1, -2]]), a @ b)
    check("its transpose", tn.ncon([a, b], [[-2, 1], [1, -1]]), (a @ b).T)

    # Two sites of a matrix product state, and a gate on their physical indices.
    left, right = rng.standard_normal((3, 2, 5)), rng.standard_normal((5, 2, 4))
    gate = np.linalg.qr(rng.standard_normal((4, 4)))[0].reshape(2, 2, 2, 2)
    evolved = tn.ncon([left, right, gate], [[-1, 1, 2], [2, 3, -4], [-2, -3, 1, 3]])
    direct = np.einsum("aib,bjc,xyij->axyc", left, right, gate)
    check("a gate on two sites", evolved, direct)

    # The norm does not change, and the order of contraction may be given.
    structure = [[1, 2, 3], [3, 4, 5], [1, 2, 6], [6, 4, 5]]
    norm = tn.ncon([left, right, left, right], structure, con_order=[1, 2, 3, 6, 4, 5])
    check("the norm before", np.sqrt(norm), np.linalg.norm(evolved))

    # A string label that starts with "-" and is on several tensors is a batch label.
    vectors, matrices = rng.standard_normal((7, 4)), rng.standard_normal((7, 4, 4))
    forms = tn.ncon([vectors, matrices, vectors], [["-n", 1], ["-n", 1, 2], ["-n", 2]])
    check("7 quadratic forms", forms, np.einsum("ni,nij,nj->n", vectors, matrices, vectors))


if __name__ == "__main__":
    main()
