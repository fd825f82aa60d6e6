"""The reader of graphical models: tables, both evidence layouts, and errors with their line."""

from __future__ import annotations

import gzip
import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import opt_einsum
import pytest

from tensornet.errors import FormatError
from tensornet.expr import Expr
from tensornet.formats import read_uai

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[2] / "shared" / "data" / "uai"

A = np.arange(1.0, 7).reshape(2, 3)
B = np.array([[0.5, 0.25], [1.5, 2.0], [1e-3, 0.125]])
C = np.array([2.0, 0.5])


def contract(expr: Expr, arrays: Sequence[np.ndarray]) -> float:
    operands = [x for array, term in zip(arrays, expr.inputs) for x in (array, term)]
    return float(opt_einsum.contract(*operands, expr.output, optimize="greedy"))


def test_tables_list_the_last_variable_fastest() -> None:
    model = read_uai(DATA / "chain.uai", evidence={})
    assert (model.name, model.kind, model.cardinalities) == ("chain", "MARKOV", (2, 3, 2))
    assert [a.tolist() for a in model.arrays] == [A.tolist(), B.tolist(), C.tolist()]
    assert model.expr.inputs == ((0, 1), (1, 2), (2,))
    assert contract(model.expr, model.arrays) == pytest.approx((A @ B @ C).sum(), rel=1e-15)


def test_evidence_next_to_the_model_is_found_and_slices_the_tables() -> None:
    model = read_uai(DATA / "chain.uai")
    assert model.evidence == ((1, 2),)
    assert model.expr.shapes == ((2,), (2,), (2,))
    expected = A[:, 2].sum() * (B[2] @ C)
    assert contract(model.expr, model.arrays) == pytest.approx(expected, rel=1e-15)


def test_evidence_with_a_sample_count_is_the_same_layout_otherwise() -> None:
    model = read_uai(DATA / "chain.uai", DATA / "chain_samples.evid")
    assert model.evidence == ((0, 1), (2, 0))
    expected = (A[1] @ B[:, 0]) * C[0]
    assert contract(model.expr, model.arrays) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("body", ["0", "0\n", "1\n0\n", "1 0"])
def test_no_observations_change_nothing(body: str) -> None:
    model = read_uai(DATA / "chain.uai", io.StringIO(body))
    assert model.evidence == ()
    assert model.expr.shapes == ((2, 3), (3, 2), (2,))


def test_all_variables_observed_leaves_scalars() -> None:
    model = read_uai(DATA / "chain.uai", {0: 1, 1: 1, 2: 0})
    assert model.expr.shapes == ((), (), ())
    assert contract(model.expr, model.arrays) == pytest.approx(A[1, 1] * B[1, 0] * C[0])


def test_a_bayesian_network_without_evidence_sums_to_one() -> None:
    body = "BAYES 2  2 2  2  1 0  2 0 1   2  .3 .7   4  .1 .9 .6 .4"
    model = read_uai(io.StringIO(body))
    assert model.kind == "BAYES"
    assert contract(model.expr, model.arrays) == pytest.approx(1)


def test_a_variable_in_no_factor_multiplies_by_its_cardinality() -> None:
    model = read_uai(io.StringIO("MARKOV 2  2 7  1  1 0   2  1 2"))
    assert contract(model.expr, model.arrays) == 21
    assert contract(*_parts(io.StringIO("MARKOV 2  2 7  1  1 0   2  1 2"), {1: 3})) == 3


def _parts(source: io.StringIO, evidence: dict[int, int]) -> tuple[Expr, tuple[np.ndarray, ...]]:
    model = read_uai(source, evidence)
    return model.expr, model.arrays


def test_a_factor_of_no_variables_is_a_scalar() -> None:
    model = read_uai(io.StringIO("MARKOV 1  2  2  0  1 0   1  3.0   2  1 2"))
    assert contract(model.expr, model.arrays) == 9


def test_arrays_are_read_only() -> None:
    assert not any(a.flags.writeable for a in read_uai(DATA / "chain.uai").arrays)


def test_gzipped_models_find_their_evidence_too(tmp_path: Path) -> None:
    packed = tmp_path / "chain.uai.gz"
    packed.write_bytes(gzip.compress((DATA / "chain.uai").read_bytes()))
    shutil.copy(DATA / "chain.uai.evid", tmp_path / "chain.uai.evid")
    assert read_uai(packed).evidence == ((1, 2),)


GOOD = "MARKOV\n2\n2 2\n1\n2 0 1\n\n4\n1 2\n3 4\n"


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("", None, "empty file"),
        ("GRID\n2\n", 1, "MARKOV or BAYES, found 'GRID'"),
        ("MARKOV\n", 1, "ends before the number of variables"),
        ("MARKOV\ntwo\n", 2, "expected the number of variables .* found 'two'"),
        ("MARKOV\n-2\n", 2, "expected the number of variables .* found '-2'"),
        ("MARKOV\n3\n2 2\n", 3, "ends before the cardinality of variable 2"),
        ("MARKOV\n2\n2 0\n", 3, "variable 1 has cardinality 0"),
        (GOOD.replace("2 0 1", "2 0 2"), 5, "a variable of factor 0 is 2, .* possible is 1"),
        (GOOD.replace("2 0 1", "2 0 0"), 5, "factor 0 names variable 0 twice"),
        (GOOD.replace("2 0 1", "3 0 1"), 5, "number of variables of factor 0 is 3"),
        (GOOD.replace("\n4\n", "\n8\n"), 7, r"8 entries, .* \(0, 1\) .* \(2, 2\) need 4"),
        (GOOD.replace("3 4", "3"), 9, "ends inside table 0: 3 of 4 entries"),
        (GOOD.replace("3 4", "3 x"), 9, "entry 3 of table 0 is 'x'"),
        (GOOD.replace("3 4", "3 nan"), 9, "entry 3 of table 0 is 'nan'"),
        (GOOD.replace("3 4", "-3 4"), 9, "entry 2 of table 0 is '-3'; .* >= 0"),
        (GOOD.replace("3 4", "3 inf"), 9, "entry 3 of table 0 is 'inf'"),
        (GOOD + "\n5\n", 11, "expected the end of the model .* found '5'"),
        ("MARKOV\n9999999999999\n2", 3, "ends before the cardinality"),
        ("MARKOV\n1\n2\n9999999999999\n", 4, "ends before the number of variables of factor"),
    ],
)
def test_a_malformed_model_names_its_line(
    tmp_path: Path, body: str, line: int | None, message: str
) -> None:
    path = tmp_path / "bad.uai"
    path.write_text(body)
    with pytest.raises(FormatError, match=message) as caught:
        read_uai(path)
    where = f"{path}: " if line is None else f"{path}:{line}: "
    assert str(caught.value).startswith(where)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("", 1, "ends before the number of observations"),
        ("1\n3 0", 2, "an observed variable is 3, but the largest possible is 2"),
        ("1 1 3", 1, "the value of variable 1 is 3, but the largest possible is 2"),
        ("2 1 0\n1 1", 2, "variable 1 is observed twice"),
        ("1 1 0\n7 7", 2, "expected the end of the evidence"),
        ("2 1 0", 1, "ends before an observed variable"),
        ("2\n1 0 1\n1 1 0", 1, "2 samples of evidence"),
        ("3\n0\n1 0 1\n0", 1, "3 samples of evidence"),
    ],
)
def test_malformed_evidence_names_its_line(
    tmp_path: Path, body: str, line: int, message: str
) -> None:
    path = tmp_path / "bad.evid"
    path.write_text(body)
    with pytest.raises(FormatError, match=message) as caught:
        read_uai(DATA / "chain.uai", path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_a_mapping_with_unknown_variables_or_values_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="variable 5 is not one of the 3"):
        read_uai(DATA / "chain.uai", {5: 0})
    with pytest.raises(ValueError, match="variable 1 has the values 0 to 2, not 3"):
        read_uai(DATA / "chain.uai", {1: 3})


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared models are not on this machine")
@pytest.mark.parametrize(
    ("name", "factors", "observed"),
    [
        ("Grids_12", 280, 0),
        ("Promedus_24", 200, 4),
        ("Promedus_30", 306, 13),
        ("Pedigree_12", 385, 37),
        ("Segmentation_11", 845, 0),
    ],
)
def test_published_models_are_read_whole(name: str, factors: int, observed: int) -> None:
    model = read_uai(SHARED / f"{name}.uai")
    assert len(model.arrays) == factors
    assert len(model.evidence) == observed
    assert model.expr.shapes == tuple(a.shape for a in model.arrays)
