"""The circuit reader: every gate against a state vector, every malformed line against its error."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import opt_einsum
import pytest

from tensornet.errors import FormatError
from tensornet.expr import Expr
from tensornet.formats import Circuit, Gate, read_circuit

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[2] / "shared" / "data" / "circuits"

I2, X, Y, Z = np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])
S2 = 2**-0.5


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """exp(-i angle axis / 2) for an axis whose square is the identity."""
    return np.asarray(np.cos(angle / 2) * I2 - 1j * np.sin(angle / 2) * axis)


def fsim(theta: float, phi: float) -> np.ndarray:
    """exp(-i theta (XX + YY) / 2) exp(-i phi (1 - Z)(1 - Z) / 4)."""
    swap_part = (np.kron(X, X) + np.kron(Y, Y)) / 2
    values, vectors = np.linalg.eigh(swap_part)
    hop = vectors @ np.diag(np.exp(-1j * theta * values)) @ vectors.conj().T
    return np.asarray(hop @ np.diag([1, 1, 1, np.exp(-1j * phi)]))


REFERENCE: dict[str, Callable[..., np.ndarray]] = {
    "p": lambda phi: np.array([[np.exp(1j * phi)]]),
    "id1": lambda: I2,
    "h": lambda: S2 * (X + Z),
    "t": lambda: np.diag([1, np.exp(0.25j * np.pi)]),
    "s": lambda: np.diag([1, 1j]),
    "x": lambda: X,
    "y": lambda: Y,
    "z": lambda: Z,
    "x_1_2": lambda: rotation(X, np.pi / 2),
    "y_1_2": lambda: rotation(Y, np.pi / 2),
    "hz_1_2": lambda: rotation(S2 * (X + Y), np.pi / 2),
    "rx": lambda phi: rotation(X, phi),
    "ry": lambda phi: rotation(Y, phi),
    "rz": lambda phi: rotation(Z, phi),
    "rxy": lambda theta, phi: rotation(np.cos(theta) * X + np.sin(theta) * Y, phi),
    "id2": lambda: np.eye(4),
    "cz": lambda: np.diag([1, 1, 1, -1]),
    "cp": lambda phi: np.diag([1, 1, 1, np.exp(-1j * phi)]),
    "cnot": lambda: np.block([[I2, 0 * I2], [0 * I2, X]]),
    "sw": lambda: np.eye(4)[[0, 2, 1, 3]],
    "is": lambda: fsim(-np.pi / 2, 0),
    "fs": fsim,
}


def state_vector(circuit: Circuit) -> np.ndarray:
    """All amplitudes, shape (2,) * n_qubits, one dense matrix after the other."""
    n = circuit.n_qubits
    state = np.zeros((2,) * n, complex)
    state[(0,) * n] = 1
    for gate in circuit.gates:
        matrix = REFERENCE[gate.name](*gate.params)
        for _ in gate.controls:
            matrix = np.block(
                [
                    [np.eye(len(matrix)), np.zeros(matrix.shape)],
                    [np.zeros(matrix.shape), matrix],
                ]
            )
        wires = gate.controls + gate.qubits
        k = len(wires)
        tensor = matrix.reshape((2,) * (2 * k))
        state = np.tensordot(tensor, state, axes=(range(k, 2 * k), wires))
        state = np.moveaxis(state, range(k), wires)
    return state


def contract(expr: Expr, arrays: Sequence[np.ndarray]) -> np.ndarray:
    operands = [x for array, term in zip(arrays, expr.inputs) for x in (array, term)]
    return np.asarray(opt_einsum.contract(*operands, expr.output, optimize="greedy"))


def read(text: str) -> Circuit:
    return read_circuit(io.StringIO(text))


def test_the_test_circuit_has_every_known_gate() -> None:
    circuit = read_circuit(DATA / "all_gates_q6.qsim")
    assert {gate.name for gate in circuit.gates} == set(REFERENCE)


def test_amplitudes_of_every_gate_equal_the_state_vector() -> None:
    circuit = read_circuit(DATA / "all_gates_q6.qsim")
    state = state_vector(circuit)
    assert np.linalg.norm(state) == pytest.approx(1)
    for number in range(0, 64, 3):
        bits = f"{number:06b}"
        expr, arrays = circuit.amplitude(bits, "complex128")
        assert tuple(a.shape for a in arrays) == expr.shapes
        assert abs(contract(expr, arrays) - state[tuple(map(int, bits))]) < 1e-14


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_each_gate_alone_has_its_exact_matrix(name: str) -> None:
    params = (0.37, -1.1)
    for n_params in range(3):
        try:
            matrix = REFERENCE[name](*params[:n_params])
        except TypeError:
            continue
        break
    qubits = (2, 0)[: int(np.log2(len(matrix)))]
    start = tuple(Gate("ry", (q,), (0.5 + q,)) for q in range(3))
    circuit = Circuit(3, (*start, Gate(name, qubits, params[:n_params])))
    state = state_vector(circuit)
    for number in range(8):
        bits = f"{number:03b}"
        amplitude = contract(*circuit.amplitude(bits, "complex128"))
        assert abs(amplitude - state[tuple(map(int, bits))]) < 1e-15


def test_diagonal_gates_and_controls_stay_on_their_wires() -> None:
    expr, arrays = read("3\n0 rz 0 0.1\n0 cz 1 2\n1 c 0 x 1\n").amplitude()
    assert expr.inputs[3:6] == ((0,), (1, 2), (0, 3, 1))
    assert [a.shape for a in arrays[3:6]] == [(2,), (2, 2), (2, 2, 2)]
    assert all(a.dtype == np.complex64 and not a.flags.writeable for a in arrays)


def test_qubit_zero_is_the_first_character_of_the_bitstring() -> None:
    circuit = read("3\n0 x 0\n")
    assert contract(*circuit.amplitude("100")) == 1
    assert contract(*circuit.amplitude("001")) == 0
    assert contract(*circuit.amplitude()) == 0


def test_no_gates_leave_the_zero_state() -> None:
    assert contract(*read("2\n").amplitude("00")) == 1


def test_rounding_to_complex64_does_not_add_up_over_equal_gates() -> None:
    body = "1\n" + "".join(f"{t} x_1_2 0\n" for t in range(4000))  # the identity
    _, (state, *gates, outcome) = read(body).amplitude("0", "complex64")
    state = state.astype(complex)
    for gate in gates:
        state = gate @ state
    assert abs(outcome @ state - 1) < 1e-6  # rounding each gate alone would make it 7e-5


@pytest.mark.parametrize(
    ("bits", "message"),
    [("010", "3 characters.*2 qubits"), ("", "0 characters"), ("0a", "'a' at position 1")],
)
def test_a_wrong_bitstring_is_a_value_error(bits: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read("2\n0 h 0\n").amplitude(bits)


def test_a_real_dtype_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="complex64 or complex128, not float64"):
        read("2\n").amplitude("00", "float64")


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("", None, "empty file"),
        ("\n \n", None, "empty file"),
        ("two\n", 1, "number of qubits alone, found 'two'"),
        ("0\n", 1, "number of qubits"),
        ("-3\n", 1, "number of qubits"),
        ("2 3\n", 1, "found '2 3'"),
        ("99999999\n", 1, "at most 1000000"),
        ("2\n\n0 hh 0\n", 3, "unknown gate 'hh'; known gates: p, id1, h, t"),
        ("2\n0 h 2\n", 2, "qubit 2 is out of range; the qubits are 0 to 1"),
        ("2\n0 h -1\n", 2, "expected a qubit .* found '-1'"),
        ("2\n0 h 1.0\n", 2, "expected a qubit .* found '1.0'"),
        ("2\n0 cz 1 1\n", 2, "qubit 1 is repeated"),
        ("2\n0 c 0 x 0\n", 2, "qubit 0 is repeated"),
        ("2\n0 rz 0\n", 2, "'rz' takes 1 qubits and 1 parameters, but 1 values follow"),
        ("2\n0 h 0 0.5\n", 2, "'h' takes 1 qubits and 0 parameters, but 2 values follow"),
        ("2\n0 rz 0 fast\n", 2, "finite parameter, found 'fast'"),
        ("2\n0 rz 0 nan\n", 2, "finite parameter, found 'nan'"),
        ("2\n0 rz 0 1e999\n", 2, "finite parameter, found '1e999'"),
        ("2\nh 0\n", 2, "expected a time .* found 'h'"),
        ("2\n0\n", 2, "ends before the name of a gate"),
        ("2\n0 c h 0\n", 2, "at least one control"),
        ("2\n0 c 0 1\n", 2, "ends before the name of a gate"),
        ("2\n0 m 0\n", 2, "measurements"),
        ("2\n3 h 0\n2 h 1\n", 3, "time 2 comes after time 3"),
        ("2\n3 h 0\n3 x 0\n", 3, "qubit 0 is used twice at time 3"),
        ("30\n0 c " + " ".join(map(str, range(20))) + " x 20\n", 2, "20 controls"),
    ],
)
def test_a_malformed_file_names_its_line_and_what_is_wrong(
    tmp_path: Path, body: str, line: int | None, message: str
) -> None:
    path = tmp_path / "bad.qsim"
    path.write_text(body)
    where = f"{path}: " if line is None else f"{path}:{line}: "
    with pytest.raises(FormatError, match=message) as caught:
        read_circuit(path)
    assert str(caught.value).startswith(where)
    assert "\n" not in str(caught.value)


def test_windows_line_ends_and_gzip_are_read_alike(tmp_path: Path) -> None:
    raw = (DATA / "all_gates_q6.qsim").read_bytes()
    path = tmp_path / "circuit.qsim.gz"
    path.write_bytes(gzip.compress(raw.replace(b"\n", b"\r\n")))
    circuit = read_circuit(path)
    assert circuit.gates == read_circuit(DATA / "all_gates_q6.qsim").gates
    assert circuit.name == "circuit"


def test_a_very_long_circuit_is_no_recursion() -> None:
    body = "1\n" + "".join(f"{t} h 0\n" for t in range(100_000))
    expr, arrays = read(body).amplitude("0")
    assert len(arrays) == len(expr.inputs) == 100_002


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared circuits are not on this machine")
@pytest.mark.parametrize(
    ("name", "qubits", "gates"),
    [("sycamore_n53_m10", 53, 1658), ("sycamore_n53_m20", 53, 3263), ("lattice_q24", 24, 1257)],
)
def test_published_circuits_are_read_whole(name: str, qubits: int, gates: int) -> None:
    circuit = read_circuit(SHARED / f"{name}.qsim")
    assert (circuit.n_qubits, len(circuit.gates), circuit.name) == (qubits, gates, name)
    expr, arrays = circuit.amplitude()
    assert len(arrays) == gates + 2 * qubits
    assert expr.shapes == tuple(a.shape for a in arrays)
