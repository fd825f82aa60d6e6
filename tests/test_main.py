"""The command line: the main job, every kind of file, and a new user's wrong moves."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensornet
from tensornet import __main__ as cli
from tensornet import api, progress
from tensornet.formats import random_arrays, read_circuit, read_network

DATA = Path(__file__).parent / "data"
CIRCUIT, MODEL, NETWORK = (
    str(DATA / name) for name in ("all_gates_q6.qsim", "chain.uai", "chain.json")
)
SHARED = Path(__file__).parents[2] / "shared" / "data"

LOG10_Z = {
    "Grids_12": 303.0859565859,
    "Promedus_24": -5.8618111311,
    "Promedus_30": -22.1005148562,
    "Pedigree_12": -11.4554477014,
    "Segmentation_11": -23.9960921952,
}


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run the command line in this process; the exit code and both outputs."""
    code = cli.main(words)
    out, err = capsys.readouterr()
    return code, out, err


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code, out, err = run(capsys, *words, "--json")
    assert (code, err) == (0, "")
    record = json.loads(out)
    assert isinstance(record, dict)
    return record


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tensornet", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# ---- the main job


def test_without_a_command_the_embedded_circuit_meets_its_reference(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = run(capsys, "--no-progress")
    assert (code, err) == (0, "")
    for part in ("53 qubits", "tensors", "indices", "width", "log10 macs", "peak memory", "slice"):
        assert part in out
    for part in ("GFLOP/s", "relative difference", " s on "):
        assert part in out
    amplitude = complex(out.split("\nresult")[1].splitlines()[0].replace(" ", ""))
    assert abs(amplitude - cli.REFERENCE) < 1e-5 * abs(cli.REFERENCE)


def test_ctrl_c_stops_the_main_job_with_one_line_and_code_130() -> None:
    with start("--no-progress") as process:
        assert process.stdout is not None
        while not process.stdout.readline().lstrip().startswith("planned in"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "tensornet: interrupted\n")


# ---- every kind of file


def test_a_circuit_gives_the_amplitudes_of_several_bitstrings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["011010", "011011", "000000"]
    options = [option for word in words for option in ("--bitstring", word)]
    record = run_json(capsys, "contract", CIRCUIT, *options, "--dtype", "complex128")
    assert record["network"]["bitstrings"] == words
    for word, value in zip(words, record["result"]["values"], strict=True):
        single = run_json(capsys, "contract", CIRCUIT, "--bitstring", word, "--dtype", "complex128")
        assert value == pytest.approx(single["result"]["value"], rel=1e-10)
    assert cli.main(["contract", CIRCUIT, *options]) == 0
    assert "amplitudes per second" in capsys.readouterr().out


def test_a_circuit_gives_the_amplitude_of_the_bitstring(capsys: pytest.CaptureFixture[str]) -> None:
    record = run_json(capsys, "contract", CIRCUIT, "--bitstring", "011010", "--dtype", "complex128")
    expr, arrays = read_circuit(CIRCUIT).amplitude("011010", "complex128")
    expected = complex(api.contract_expr(expr, arrays))
    value = record["result"]["value"]
    assert complex(value["re"], value["im"]) == pytest.approx(expected, rel=1e-12)
    assert record["network"]["bitstring"] == "011010"
    assert "relative_difference" not in record["result"]


def test_a_model_gives_log10_z_with_the_evidence_beside_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = run_json(capsys, "contract", MODEL)
    expected = (3 + 6) * (1e-3 * 2 + 0.125 * 0.5)
    assert record["result"]["log10_z"] == pytest.approx(math.log10(expected), rel=1e-12)
    code, out, _ = run(capsys, "contract", MODEL, "--evidence", str(DATA / "chain_samples.evid"))
    assert code == 0
    z = (4 * 0.5 + 5 * 1.5 + 6 * 1e-3) * 2
    assert f"log10 Z = {math.log10(z):.10f}" in out


def test_evidence_that_is_impossible_gives_minus_infinity(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "zero.uai"
    path.write_text("MARKOV 1  2  1  1 0   2  0 0\n")
    code, out, err = run(capsys, "contract", str(path))
    assert (code, err) == (0, "")
    assert "log10 Z = -inf" in out
    assert run_json(capsys, "contract", str(path))["result"]["log10_z"] is None


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared models are not on this machine")
@pytest.mark.parametrize("name", sorted(LOG10_Z))
def test_published_models_meet_their_reference(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    record = run_json(capsys, "contract", str(SHARED / "uai" / f"{name}.uai"))
    assert record["result"]["log10_z"] == pytest.approx(LOG10_Z[name], abs=1e-6)


def test_a_network_is_filled_with_seeded_values(capsys: pytest.CaptureFixture[str]) -> None:
    record = run_json(capsys, "contract", NETWORK, "--random", "--seed", "5")
    expected = np.linalg.multi_dot(random_arrays(read_network(NETWORK).expr, "float64", 5))
    assert record["result"]["shape"] == [2, 3]
    assert record["result"]["norm"] == pytest.approx(np.linalg.norm(expected), rel=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64", "complex128"])
def test_a_network_may_be_computed_in_other_dtypes(
    capsys: pytest.CaptureFixture[str], dtype: str
) -> None:
    record = run_json(capsys, "contract", NETWORK, "--random", "--dtype", dtype)
    assert record["network"]["dtype"] == dtype
    assert record["result"]["norm"] == pytest.approx(math.sqrt(6), rel=0.3)


def test_a_scalar_network_prints_its_value(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "dot.json"
    path.write_text('{"inputs": [[0], [0]], "output": [], "sizes": [500]}')
    assert run_json(capsys, "contract", str(path), "--random")["result"]["value"] == pytest.approx(
        1, abs=0.2
    )
    code, out, _ = run(capsys, "contract", str(path), "--random")
    assert code == 0
    assert float(out.split("\nresult")[1].split()[0]) == pytest.approx(1, abs=0.2)


# ---- plans and options


def test_plan_shows_the_plan_and_contracts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    record = run_json(capsys, "plan", CIRCUIT)
    expr, _ = read_circuit(CIRCUIT).amplitude()
    assert set(record) == {"version", "network", "plan"}
    assert record["plan"]["tensors"] == len(expr.inputs)
    assert record["plan"]["indices"] == len(expr.sizes)
    assert record["plan"]["log10_macs"] == pytest.approx(math.log10(record["plan"]["macs"]))
    assert record["plan"]["peak_memory"] <= record["plan"]["memory_limit"]


def ring_of(folder: Path) -> str:
    """A file with a network that half of its memory is enough for, in slices."""
    path = folder / "ring.json"
    ring = {"inputs": [[0, 1], [1, 2], [2, 3], [3, 0]], "output": [], "sizes": [200] * 4}
    path.write_text(json.dumps(ring))
    return str(path)


def test_a_memory_limit_is_kept_by_slicing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("contract", ring_of(tmp_path), "--random", "--optimize", "greedy")
    free = run_json(capsys, *words)
    limit = free["plan"]["peak_memory"] // 2
    tight = run_json(capsys, *words, "--memory-limit", str(limit))
    assert tight["plan"]["peak_memory"] <= limit
    assert tight["plan"]["slices"] > 1
    assert tight["result"]["value"] == pytest.approx(free["result"]["value"], rel=1e-12)


def test_a_saved_plan_is_taken_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = str(tmp_path / "plan.json")
    saved = run_json(capsys, "plan", CIRCUIT, "--save", path)
    again = run_json(capsys, "contract", CIRCUIT, "--plan", path)
    for key in ("macs", "max_size", "slices", "peak_memory"):
        assert saved["plan"][key] == again["plan"][key]


def test_a_checkpoint_is_gone_after_the_run_and_a_broken_one_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "sums.npz"
    words = ("contract", ring_of(tmp_path), "--random", "--optimize", "greedy")
    free = run_json(capsys, *words)
    limit = str(free["plan"]["peak_memory"] // 2)
    kept = run_json(capsys, *words, "--memory-limit", limit, "--checkpoint", str(path))
    assert kept["plan"]["slices"] > 1
    assert kept["result"]["value"] == pytest.approx(free["result"]["value"], rel=1e-12)
    assert not path.exists()
    path.write_bytes(b"no sums")
    code, _, err = run(capsys, *words, "--memory-limit", limit, "--checkpoint", str(path))
    assert code == 1
    assert str(path) in err
    assert path.read_bytes() == b"no sums"


def test_options_may_stand_before_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--seed", "4", "--json", "contract", NETWORK, "--random")
    assert code == 0
    assert json.loads(out)["result"]["norm"] == pytest.approx(
        run_json(capsys, "contract", NETWORK, "--random", "--seed", "4")["result"]["norm"],
        rel=1e-15,
    )


def test_threads_are_taken_for_this_run_only(capsys: pytest.CaptureFixture[str]) -> None:
    before = tensornet.get_num_threads()
    record = run_json(capsys, "contract", NETWORK, "--random", "--threads", "1")
    assert record["result"]["threads"] == 1
    assert tensornet.get_num_threads() == before


def test_progress_is_shown_on_the_error_stream_when_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.ProgressBar, "DELAY", -1.0)
    code, out, err = run(capsys, "contract", CIRCUIT, "--progress", "--json")
    assert code == 0
    assert err != ""
    assert json.loads(out)["result"]["value"]


def test_info_tells_what_the_machine_runs(capsys: pytest.CaptureFixture[str]) -> None:
    info = run_json(capsys, "info")["info"]
    assert info["isa"] in info["available_isas"]
    assert info["threads"] >= 1
    assert set(info["caches"]) == {"l1d", "l2", "l3"}
    code, out, _ = run(capsys, "info")
    assert code == 0
    for part in (tensornet.__version__, info["isa"], "thread", "L1D", "available"):
        assert part in out


def test_version_and_help_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    for words, part in (
        (["--version"], tensornet.__version__),
        (["plan", "--help"], "--bitstring"),
    ):
        with pytest.raises(SystemExit) as stop:
            cli.main(words)
        assert stop.value.code == 0
        assert part in capsys.readouterr().out


# ---- wrong moves


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["contract", "missing.qsim"], "missing.qsim: No such file or directory"),
        (["contract", "circuit.txt"], "unknown format '.txt'; known are .qsim, .uai, .json"),
        (["contract", str(DATA)], "unknown format"),
        (["contract", CIRCUIT, "--bitstring", "01"], "2 characters, but the circuit has 6 qubits"),
        (["contract", CIRCUIT, "--bitstring", "01x000"], "'x' at position 2"),
        (["contract", CIRCUIT, "--dtype", "float64"], "a circuit takes complex64, complex128"),
        (["contract", MODEL, "--dtype", "int7"], "a model takes float64, float32"),
        (["contract", MODEL, "--evidence", "missing.evid"], "missing.evid: No such file"),
        (["contract", MODEL, "--bitstring", "0"], "--bitstring is for a circuit"),
        (["contract", MODEL, "--random"], "--random is for a network"),
        (["plan", NETWORK, "--evidence", MODEL], "--evidence is for a model"),
        (["contract", NETWORK], "add --random"),
        (["contract", CIRCUIT, "--memory-limit", "lots"], "not a size in bytes: 'lots'"),
        (["contract", CIRCUIT, "--threads", "0"], "expected a whole number from 1, got '0'"),
        (["contract", CIRCUIT, "--seed", "1.5"], "expected a whole number from 0, got '1.5'"),
        (["contract", CIRCUIT, "--max-time", "-1"], "positive number of seconds"),
        (["contract", CIRCUIT, "--optimize", "magic"], "magic"),
        (["contract", CIRCUIT, "--plan", "missing.json"], "missing.json: No such file"),
        (["contract", CIRCUIT, "--plan", NETWORK], "chain.json"),
        (["plan", CIRCUIT, "--save", "no/such/folder/plan.json"], "missing or not writable"),
        (["contract"], "arguments are required: FILE"),
        (["contrat", CIRCUIT], "invalid choice: 'contrat'"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_a_wrong_move_is_one_line_and_code_2(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    code, _, err = run(capsys, *words)
    assert code == 2
    assert err.startswith("tensornet: error: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_malformed_file_is_named_with_its_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "typo.qsim"
    path.write_text("2\n0 h 0\n1 cnott 0 1\n")
    code, out, err = run(capsys, "contract", str(path))
    assert (code, out) == (2, "")
    assert err.startswith(f"tensornet: error: {path}:3: unknown gate 'cnott'; known gates: ")
    assert err.count("\n") == 1


def test_a_plan_of_another_network_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = str(tmp_path / "plan.json")
    run_json(capsys, "plan", NETWORK, "--save", path)
    code, _, err = run(capsys, "contract", CIRCUIT, "--plan", path)
    assert code == 2
    assert err.count("\n") == 1


def test_an_impossible_memory_limit_is_code_1_and_says_what_would_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, err = run(capsys, "contract", CIRCUIT, "--memory-limit", "1", "--json")
    assert (code, out) == (1, "")
    assert err.startswith("tensornet: error: ")
    assert "smallest" in err
    assert err.count("\n") == 1


def test_running_out_of_memory_is_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(api, "plan_expr", fail)
    code, _, err = run(capsys, "plan", CIRCUIT)
    assert (code, err) == (1, "tensornet: error: out of memory\n")


def test_errors_of_a_real_process_have_no_traceback() -> None:
    with start("contract", "missing.uai") as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err == "tensornet: error: missing.uai: No such file or directory\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    with start("info") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        process.wait(timeout=60)
    assert err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_an_output_that_takes_no_more_ends_in_one_line() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "tensornet", "info"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "tensornet: error: No space left on device\n"


def test_an_unknown_instruction_set_is_one_line_and_wrong_usage() -> None:
    command = [sys.executable, "-m", "tensornet", "info"]
    environment = os.environ | {"TENSORNET_ISA": "quantum"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("tensornet: error: TENSORNET_ISA='quantum' is not")
    assert done.stderr.count("\n") == 1


def test_a_program_is_told_of_an_unknown_instruction_set_by_an_exception() -> None:
    command = [sys.executable, "-c", "import tensornet"]
    environment = os.environ | {"TENSORNET_ISA": "quantum"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "TensorNetError: TENSORNET_ISA='quantum'" in done.stderr


def test_a_long_run_is_warned_of_before_it_starts(capsys: pytest.CaptureFixture[str]) -> None:
    cli.warn_of_long_run(10**11, 2, "complex64")
    assert capsys.readouterr().err == ""
    cli.warn_of_long_run(10**14, 2, "complex64")
    warning = capsys.readouterr().err
    assert "10^14.0 multiply-adds, about 9.3 hours" in warning
    assert "--memory-limit" in warning
    assert "hyper" in warning


def test_what_the_planner_makes_small_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "plan", NETWORK, "--minimize", "size")[0] == 0
    code, _, error = run(capsys, "plan", NETWORK, "--minimize", "beauty")
    assert code == 2
    assert "minimize='beauty' is nothing to minimize" in error
