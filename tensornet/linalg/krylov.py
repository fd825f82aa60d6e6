"""Krylov solvers over any linear map: eigenpairs and linear systems.

Names and arguments follow google/TensorNetwork 0.4.6. Maps are functions of arrays of any shape.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..arrays import Array, check_backend
from .arnoldi import Arnoldi, Ritz
from .linear_systems import gmres
from .maps import ConvergenceWarning, LinearMap, leave, start_vector

__all__ = ["ConvergenceWarning", "eigs", "eigsh_lanczos", "gmres"]

# What comes first, for each `which`; values that are equal in it by their imaginary parts.
_KEYS: dict[str, Callable[[Array], Array]] = {
    "LM": lambda values: -abs(values),
    "SM": lambda values: abs(values),
    "LR": lambda values: -values.real,
    "SR": lambda values: values.real,
    "LI": lambda values: -values.imag,
    "SI": lambda values: values.imag,
}


def eigsh_lanczos(
    A: Callable[..., Any],
    backend: str | None = None,
    args: Sequence[Any] | None = None,
    x0: Any = None,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    num_krylov_vecs: int = 20,
    numeig: int = 1,
    tol: float = 1e-8,
    delta: float = 1e-8,
    ndiag: int = 20,
    reorthogonalize: bool = False,
    maxiter: int = 0,
) -> tuple[Array, list[Any]]:
    """The lowest eigenvalues and eigenvectors of a Hermitian map, by Lanczos' method.

    The space of ``x0, A x0, A A x0, ...`` grows until the eigenvectors wanted are good enough in it
    or `num_krylov_vecs` are reached; then it is restarted up to `maxiter` times with its best part
    (thick restarts: Wu & Simon 2000). Vectors are always kept orthogonal in full, so there are no
    spurious copies of eigenvalues.

    Args:
        A: called as ``A(x, *args)``, with an array x of the shape of `x0`, returns one of that
            shape. It must be linear and Hermitian.
        backend: None or ``"numpy"``.
        args: further arguments of `A`.
        x0: where to start; random numbers (the same each time) by default. If it lies in an
            invariant subspace of dimension `numeig` or more (a symmetry sector), eigenpairs are
            those of the subspace. Without `x0`, multiple eigenvalues come as often as they occur,
            as far as the vectors allow.
        shape: the shape of arrays, needed if there is no `x0`.
        dtype: the dtype of a random start, float64 by default. Use a complex one if A is complex.
        num_krylov_vecs: the most vectors that are held; without restarts, the most products.
        numeig: how many eigenpairs.
        tol: stops when residuals ``|A x - w x|`` are at most this (relative to the norm of A, if
            that is below 1).
        delta: a new vector of a norm below this (relative in the same way) ends the space: it is
            invariant.
        ndiag: how many products there are between two checks.
        reorthogonalize: must be True if `numeig` is more than 1, as in google/TensorNetwork; it
            makes no difference here.
        maxiter: the most restarts.

    Returns:
        The eigenvalues, real and in ascending order, as an array of length `numeig`; and a list of
        the eigenvectors, of norm 1, in the shape of `x0`.

    Raises:
        ValueError: `numeig` is more than `num_krylov_vecs` or than there are, or more than 1
            without `reorthogonalize`; neither `x0` nor `shape`; a zero `x0`; NaN or infinity;
            results of another shape; another backend.
        TypeError: `A` is not callable, or a dtype without kernels.

    Warns:
        ConvergenceWarning: an eigenvalue may be off by more than `tol`; says by how much, after
            the bound of Kato and Temple. The pairs returned are the best there are.

    Cost: at most ``num_krylov_vecs`` products, fewer for each restart, and
    O(num_krylov_vecs**2 * entries) beside them.

    >>> matrix = np.diag([3.0, 1.0, 2.0, 5.0])
    >>> values, vectors = eigsh_lanczos(lambda x: matrix @ x, shape=(4,))
    >>> values.round(12).tolist(), abs(vectors[0]).round(6).tolist()
    ([1.0], [0.0, 1.0, 0.0, 0.0])
    """
    check_backend(backend)
    if numeig > 1 and not reorthogonalize:
        raise ValueError(f"numeig is {numeig}: more than 1 needs reorthogonalize=True")
    start, extents = start_vector(x0, shape, dtype)
    linear_map = LinearMap(A, args, extents)
    size = _check_size(num_krylov_vecs, numeig, 0, len(start))
    if maxiter > 0:
        size = min(len(start), max(size, numeig + 2))
    space = Arnoldi(linear_map, start, _order("SR"), hermitian=True, delta=delta)

    def target(ritz: Ritz) -> Array:
        smallest = 10 * float(np.finfo(space.h.dtype).eps) * space.scale
        return np.full(len(ritz.values), max(tol * min(1.0, space.scale), smallest))

    ritz = _solve(space, size, numeig, target, max(1, ndiag), maxiter, x0 is None)
    _warn("eigsh_lanczos", _errors(ritz), target(ritz))
    vectors = space.vectors(ritz.coefficients)
    return ritz.values, [leave(vector.reshape(extents)) for vector in vectors]


def eigs(
    A: Callable[..., Any],
    backend: str | None = None,
    args: Sequence[Any] | None = None,
    x0: Any = None,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    num_krylov_vecs: int = 20,
    numeig: int = 1,
    tol: float = 1e-8,
    which: str = "LR",
    maxiter: int = 20,
) -> tuple[Array, list[Any]]:
    """Eigenvalues and eigenvectors of any linear map, by Arnoldi's method with restarts.

    Up to `maxiter` times, the space of `num_krylov_vecs` vectors shrinks to the part that belongs
    to the eigenvalues wanted and grows again (the Krylov-Schur method: Stewart 2001). Vectors are
    kept orthogonal in full.

    Args:
        A: called as ``A(x, *args)``, with an array x of the shape of `x0`, returns one of that
            shape. It must be linear.
        backend: None or ``"numpy"``.
        args: further arguments of `A`.
        x0: where to start; random numbers (the same each time) by default. If it lies in an
            invariant subspace of dimension `numeig` or more (a symmetry sector), eigenpairs are
            those of the subspace. Without `x0`, multiple eigenvalues come as often as they occur,
            as far as the vectors allow.
        shape: the shape of arrays, needed if there is no `x0`.
        dtype: the dtype of a random start, float64 by default. Use a complex one if A is complex.
        num_krylov_vecs: the most vectors that are held, more than ``numeig + 1``.
        numeig: how many eigenpairs.
        tol: stops when residuals ``|A x - w x|`` are at most this part of ``|w|``.
        which: "LM" or "SM" for the largest or smallest magnitude, "LR" or "SR" for the largest or
            smallest real part, "LI" or "SI" for the largest or smallest imaginary part. The
            smallest magnitudes converge slowly: there is no inversion.
        maxiter: the most restarts.

    Returns:
        The eigenvalues in the order of `which`, as a complex array of length `numeig`; and a list
        of the eigenvectors, complex, of norm 1, in the shape of `x0`.

    Raises:
        ValueError: `num_krylov_vecs` is not more than ``numeig + 1``; more eigenpairs than there
            are; another `which`; neither `x0` nor `shape`; a zero `x0`; NaN or infinity; results
            of another shape; another backend.
        TypeError: `A` is not callable, or a dtype without kernels.

    Warns:
        ConvergenceWarning: residuals are larger than `tol`; says how large. The pairs returned are
            the best there are.

    Cost: at most ``num_krylov_vecs * (1 + maxiter)`` products, and O(num_krylov_vecs * entries)
    beside each.

    >>> matrix = np.array([[0.0, -2.0], [2.0, 0.0]])
    >>> values, vectors = eigs(lambda x: matrix @ x, shape=(2,), which="LI")
    >>> values.imag.round(12).tolist()
    [2.0]
    """
    check_backend(backend)
    order = _order(which)
    start, extents = start_vector(x0, shape, dtype)
    linear_map = LinearMap(A, args, extents)
    size = _check_size(num_krylov_vecs, numeig, 2, len(start))
    space = Arnoldi(linear_map, start, order, hermitian=False)

    def target(ritz: Ritz) -> Array:
        eps = float(np.finfo(space.h.dtype).eps)
        allowed: Array = np.maximum(tol * abs(ritz.values), 10 * eps * space.scale)
        return allowed

    ritz = _solve(space, size, numeig, target, size, maxiter, x0 is None)
    _warn("eigs", ritz.residuals, target(ritz))
    vectors = space.vectors(ritz.coefficients)
    wide = np.result_type(vectors, np.complex64)
    return ritz.values.astype(wide), [leave(each.reshape(extents)) for each in vectors.astype(wide)]


def _order(which: str) -> Callable[[Array], Array]:
    if which not in _KEYS:
        raise ValueError(f"which={which!r} is not known; it is one of {', '.join(_KEYS)}")
    key = _KEYS[which]
    return lambda values: np.lexsort((-values.imag, key(values)))


def _check_size(num_krylov_vecs: int, numeig: int, surplus: int, length: int) -> int:
    """The number of vectors to hold; ValueError if they are too few for `numeig` pairs."""
    if numeig < 1 or numeig > length:
        raise ValueError(f"numeig is {numeig}; a map of {length} entries has 1 to {length}")
    if num_krylov_vecs < numeig + surplus:
        raise ValueError(
            f"num_krylov_vecs is {num_krylov_vecs}; at least {numeig + surplus} are needed for "
            f"numeig={numeig}"
        )
    return min(num_krylov_vecs, length)


def _solve(
    space: Arnoldi,
    size: int,
    wanted: int,
    target: Callable[[Ritz], Array],
    check_every: int,
    restarts: int,
    probing: bool,
) -> Ritz:
    """Grow and restart the space until residuals are within `target`; the best pairs there are.

    A space made from one vector holds one vector of each eigenspace. So with several pairs wanted
    and `probing`, one more round starts from a random vector, in case it finds better ones.
    """
    for restart in range(restarts + 1):
        ritz, converged = _fill(space, size, wanted, target, check_every, probing)
        if restart == restarts or space.is_everything or (space.closed and not probing):
            break
        if converged:
            if not probing or space.probed or wanted == 1:
                break
            space.probe()
        keep = min(wanted + (size - wanted) // 2, size - 2)
        if keep < space.size:
            space.shrink(keep)
    return ritz


def _fill(
    space: Arnoldi,
    size: int,
    wanted: int,
    target: Callable[[Ritz], Array],
    check_every: int,
    probing: bool,
) -> tuple[Ritz, bool]:
    """Grow the space to `size`, or less if that does; its Ritz pairs, and whether they will do."""
    while True:
        space.step()
        now = space.size
        ended = now >= size or space.is_everything
        ended = ended or (space.closed and not probing and now >= wanted)
        if not ended and (now < wanted or now % check_every):
            continue
        ritz = space.ritz(wanted)
        converged = bool((ritz.residuals <= target(ritz)).all()) and len(ritz.values) == wanted
        if ended or (converged and (wanted == 1 or not probing or space.probed)):
            return ritz, converged


def _errors(ritz: Ritz) -> Array:
    """Bounds of the errors of eigenvalues of a Hermitian map, given the gaps between Ritz values.

    The square of the residual over the gap (Kato and Temple), or the residual if that is less.
    """
    count = len(ritz.values)
    if len(ritz.all_values) == 1:
        return ritz.residuals
    gaps = abs(ritz.all_values[None] - ritz.values[:, None])
    gaps[np.arange(count), np.arange(count)] = np.inf
    with np.errstate(divide="ignore", invalid="ignore"):
        by_gap = ritz.residuals**2 / gaps.min(axis=1)
    bounds: Array = np.fmin(ritz.residuals, by_gap)
    return bounds


def _warn(solver: str, errors: Array, target: Array) -> None:
    """Warn, on behalf of the caller of `solver`, of errors above `target`."""
    excess = errors - target
    worst = int(np.argmax(excess))
    if excess[worst] > 0:
        warnings.warn(
            f"{solver}: eigenpair {worst} has an estimated error of {errors[worst]:.1e}, more than "
            f"the {target[worst]:.1e} asked for; raise num_krylov_vecs or maxiter",
            ConvergenceWarning,
            stacklevel=3,
        )
