"""Arrays of other libraries read without a copy; einsum and tensordot inside other libraries."""

from __future__ import annotations

import array
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import opt_einsum
import pytest

import tensornet as tn
from tensornet.arrays import as_array

A = np.arange(6.0).reshape(2, 3)


def torch() -> Any:
    return pytest.importorskip("torch", reason="needs the extra `torch`")


def jax_numpy() -> Any:
    return pytest.importorskip("jax.numpy", reason="needs jax")


class OnlyDLPack:
    """An array of some library that knows no NumPy."""

    def __init__(self, values: np.ndarray, device: int = 1) -> None:
        self._values = values
        self._device = device

    def __dlpack__(self, **options: Any) -> Any:
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device, 0


class OnlyInterface:
    def __init__(self, values: np.ndarray) -> None:
        self._values = values
        self.__array_interface__ = values.__array_interface__


class OnlyArray:
    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self._values if dtype is None else self._values.astype(dtype)


# Without a copy


@pytest.mark.parametrize("kind", [OnlyDLPack, OnlyInterface, OnlyArray, memoryview])
def test_what_follows_a_protocol_is_read_where_it_is(kind: Any) -> None:
    assert np.shares_memory(as_array(kind(A)), A)
    np.testing.assert_array_equal(tn.einsum("ij,kj", kind(A), A), A @ A.T)


def test_a_buffer_is_read_where_it_is() -> None:
    numbers = array.array("d", [1.0, 2.0, 4.0])
    assert as_array(numbers).ctypes.data == numbers.buffer_info()[0]
    assert tn.tensordot(numbers, numbers, 1) == 21.0


def test_strided_tensors_of_torch_are_read_where_they_are() -> None:
    tensor = torch().arange(24.0).reshape(2, 3, 4)
    for view in (tensor, tensor.permute(2, 0, 1), tensor[:, ::2], tensor[1, 2, 3]):
        read = as_array(view)
        assert read.ctypes.data == view.data_ptr()
        np.testing.assert_array_equal(read, view.tolist())


def test_arrays_of_jax_are_read_where_they_are() -> None:
    values = jax_numpy().arange(6.0).reshape(2, 3)
    assert as_array(values).ctypes.data == values.unsafe_buffer_pointer()


def doors(a: Any, b: Any) -> list[Any]:
    """A times b, through every front door."""
    plan = tn.plan(["ij", "jk"], "ik", {"i": 2, "j": 3, "k": 2})
    left, right = tn.Node(a), tn.Node(b)
    left[1] ^ right[0]
    out = np.empty((2, 2))
    plan.compile("float64")(a, b, out=out)
    return [
        tn.einsum("ij,jk", a, b),
        tn.einsum(a, [0, 1], b, [1, 2]),
        tn.tensordot(a, b, 1),
        tn.ncon([a, b], [[-1, 1], [1, -2]]),
        tn.contract_expression("ij,jk", (2, 3), (3, 2))(a, b),
        tn.contract_expression("ij,jk", a, (3, 2), constants=[0])(b),
        plan.compile("float64")(a, b),
        plan.run([a, b]),
        tn.contractors.auto([left, right], output_edge_order=[left[0], right[1]]).tensor,
        out,
    ]


@pytest.mark.parametrize("kind", [OnlyDLPack, OnlyInterface, OnlyArray])
def test_every_front_door_reads_foreign_arrays(kind: Any) -> None:
    for result in doors(kind(A), kind(A.T)):
        assert type(result) is np.ndarray
        np.testing.assert_array_equal(result, A @ A.T)


def test_every_front_door_reads_torch() -> None:
    for result in doors(torch().asarray(A), torch().asarray(A).T):
        assert type(result) is np.ndarray
        np.testing.assert_array_equal(result, A @ A.T)


def test_every_front_door_reads_jax() -> None:
    jnp = jax_numpy()
    for result in doors(jnp.asarray(A), jnp.asarray(A).T):
        np.testing.assert_array_equal(result, A @ A.T)


def test_lazily_conjugated_and_negated_tensors_are_read_as_what_they_mean() -> None:
    z = torch().tensor([1 + 2j, 3 - 4j])
    np.testing.assert_array_equal(as_array(z.conj()), [1 - 2j, 3 + 4j])
    np.testing.assert_array_equal(as_array(z.conj().imag), [-2.0, 4.0])
    assert tn.einsum("i,i", z, z.conj()) == 30.0


# What cannot be read


def complaint(call: Any, *args: Any) -> str:
    with pytest.raises(TypeError) as caught:
        call(*args)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_array_on_a_device_names_what_can_run_it_there() -> None:
    message = complaint(tn.einsum, "ij,jk", A, OnlyDLPack(A.T, device=2))
    assert "operand 1" in message
    assert "not in the memory of the CPU" in message
    assert "plan.run(arrays, backend=" in message


def test_a_tensor_that_records_gradients_names_both_ways_out() -> None:
    tensor = torch().ones(2, 3, requires_grad=True)
    for call in (tn.einsum, lambda _, x: tn.Node(x), lambda _, x: tn.ncon([x], [[-1, -2]])):
        message = complaint(call, "ij->ji", tensor)
        assert ".detach()" in message
        assert "backend='torch'" in message


def test_dtypes_that_numpy_lacks_are_refused() -> None:
    half = torch().ones(3, dtype=torch().bfloat16)
    assert "BFloat16" in complaint(tn.einsum, "i->", half)
    assert "meta" in complaint(tn.einsum, "i->", torch().empty(3, device="meta"))
    assert "to_dense" in complaint(tn.einsum, "ij->", torch().eye(2).to_sparse())


def test_traced_and_narrow_arrays_of_jax_are_refused() -> None:
    jnp = jax_numpy()
    assert "bfloat16" in complaint(tn.einsum, "i->", jnp.ones(3, jnp.bfloat16))
    jit = pytest.importorskip("jax").jit
    assert "backend='jax'" in complaint(jit(lambda x: tn.einsum("i->", x)), jnp.ones(3))


def test_neither_library_is_imported_unasked() -> None:
    code = """
        import sys
        import numpy as np
        import tensornet as tn
        tn.einsum("ij,jk", np.eye(2), np.eye(2))
        tn.plan(["ij"], "i", {"i": 2, "j": 2}).run([np.eye(2)])
        assert not {"torch", "jax", "cupy", "cotengra"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


# Inside other libraries


EQUATIONS = [
    "ab,bc,cd->ad",
    "ab,ac,ad->bcd",
    "ab,ab,bc->a",
    "aab,bc->ac",
    "ab,cd->abcd",
    "a,a,a->",
    "ab,bc,cd,da->",
    "abc,bcd,ce->eda",
    "ab->ba",
    "ab->",
    "aa->a",
]


def operands(equation: str) -> list[np.ndarray]:
    rng = np.random.default_rng(len(equation))
    extents = dict(zip("abcde", (2, 3, 4, 5, 6)))
    terms = equation.split("->")[0].split(",")
    return [rng.random([extents[c] for c in term]) for term in terms]


@pytest.mark.parametrize("equation", EQUATIONS)
def test_it_is_a_backend_of_opt_einsum(equation: str) -> None:
    arrays = operands(equation)
    want = np.einsum(equation, *arrays)
    got = opt_einsum.contract(equation, *arrays, backend="tensornet")
    np.testing.assert_allclose(got, want)
    expression = opt_einsum.contract_expression(equation, *[a.shape for a in arrays])
    np.testing.assert_allclose(expression(*arrays, backend="tensornet"), want)
    if want.ndim:
        out = np.empty_like(want)
        assert opt_einsum.contract(equation, *arrays, backend="tensornet", out=out) is out
        np.testing.assert_allclose(out, want)


@pytest.mark.parametrize("equation", EQUATIONS)
def test_it_is_an_implementation_of_cotengra(equation: str) -> None:
    cotengra = pytest.importorskip("cotengra", reason="needs the extra `bench`")
    arrays = operands(equation)
    left, right = equation.split("->")
    inputs = [tuple(term) for term in left.split(",")]
    ours = (tn.einsum, tn.tensordot)
    got = cotengra.array_contract(arrays, inputs, tuple(right), implementation=ours)
    np.testing.assert_allclose(got, np.einsum(equation, *arrays))


def test_it_contracts_sliced_trees_of_cotengra() -> None:
    cotengra = pytest.importorskip("cotengra", reason="needs the extra `bench`")
    inputs, sizes = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")], dict.fromkeys("abcd", 8)
    tree = cotengra.array_contract_tree(inputs, (), sizes)
    tree.slice_(target_slices=4)
    arrays = [np.random.default_rng(k).random((8, 8)) for k in range(4)]
    got = tree.contract(arrays, implementation=(tn.einsum, tn.tensordot))
    np.testing.assert_allclose(got, np.trace(arrays[0] @ arrays[1] @ arrays[2] @ arrays[3]))
