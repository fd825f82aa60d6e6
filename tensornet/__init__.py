"""tensornet: describe a tensor network, plan its contraction, compile the plan, run it in C.

Three ways in, one road to the number:

    einsum("ij,jk->ik", a, b)                       arrays and subscripts
    a = Node(...); b = Node(...); a[0] ^ b[1]; a @ b    a graph of nodes and edges
    plan(inputs, output, sizes).compile("float64")      a network to plan first, run later
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import (
    CheckpointError,
    FormatError,
    MemoryLimitError,
    PlanError,
    ShapeError,
    TensorNetError,
)

try:
    from . import _kernels as _kernels
except TensorNetError as error:  # an unknown TENSORNET_ISA
    from .config import end_with, is_command_line

    if not is_command_line():
        raise
    end_with(error)

from . import linalg
from .api import (
    ContractExpression,
    Plan,
    clear_cache,
    contract_expr,
    contract_expression,
    einsum,
    ncon,
    plan,
    plan_expr,
    tensordot,
)
from .autodiff import (
    GradientTape,
    checkpoint,
    custom_op,
    grad,
    hvp,
    jvp,
    no_grad,
    stop_gradient,
    value_and_grad,
    vjp,
)
from .config import get_num_threads, installed_version, set_num_threads
from .expr import Expr
from .graph import (
    AbstractNode,
    CompiledNetwork,
    CopyNode,
    DefaultBackend,
    Edge,
    HyperEdge,
    Node,
    NodeCollection,
    check_connected,
    check_correct,
    compile_network,
    connect,
    contract,
    contract_between,
    contract_copy_node,
    contract_parallel,
    contract_trace_edges,
    contractors,
    copy,
    disconnect,
    draw,
    flatten_all_edges,
    flatten_edges,
    flatten_edges_between,
    from_topology,
    get_all_dangling,
    get_all_edges,
    get_all_nodes,
    get_all_nondangling,
    get_neighbors,
    get_parallel_edges,
    get_shared_edges,
    get_subgraph_dangling,
    hyperedge,
    jit,
    load_nodes,
    nodes_from_json,
    nodes_to_json,
    outer_product,
    outer_product_final_nodes,
    plan_network,
    reachable,
    redirect_edge,
    reduced_density,
    remove_node,
    replicate_nodes,
    save_nodes,
    set_default_backend,
    slice_edge,
    split_edge,
    split_node,
    split_node_full_svd,
    split_node_qr,
    split_node_rq,
    switch_backend,
    to_graphviz,
)
from .linalg import (
    eigh,
    expm,
    eye,
    inv,
    norm,
    ones,
    qr,
    randn,
    random_uniform,
    rq,
    svd,
    zeros,
)
from .ops import (
    NconBuilder,
    abs,
    conj,
    cos,
    diagflat,
    diagonal,
    exp,
    finalize,
    hconj,
    kron,
    log,
    outer,
    pivot,
    reshape,
    shape,
    sign,
    sin,
    sqrt,
    take_slice,
    trace,
    transpose,
)
from .planner import Planner
from .program import Program
from .tape import Tensor

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = installed_version()
    return found


__all__ = [
    # arrays
    "einsum",
    "tensordot",
    "ncon",
    "contract_expression",
    "ContractExpression",
    # Tensors
    "Tensor",
    "NconBuilder",
    "finalize",
    "eye",
    "ones",
    "zeros",
    "randn",
    "random_uniform",
    "abs",
    "conj",
    "cos",
    "diagflat",
    "diagonal",
    "exp",
    "hconj",
    "kron",
    "log",
    "norm",
    "outer",
    "pivot",
    "reshape",
    "shape",
    "sign",
    "sin",
    "sqrt",
    "take_slice",
    "trace",
    "transpose",
    "eigh",
    "expm",
    "inv",
    "qr",
    "rq",
    "svd",
    # plans and programs
    "plan",
    "Plan",
    "Program",
    "Expr",
    "plan_expr",
    "Planner",
    "contract_expr",
    "clear_cache",
    # derivatives
    "grad",
    "value_and_grad",
    "vjp",
    "jvp",
    "hvp",
    "GradientTape",
    "stop_gradient",
    "no_grad",
    "checkpoint",
    "custom_op",
    # the node graph
    "AbstractNode",
    "CompiledNetwork",
    "CopyNode",
    "DefaultBackend",
    "Edge",
    "HyperEdge",
    "Node",
    "NodeCollection",
    "check_connected",
    "check_correct",
    "compile_network",
    "connect",
    "contract",
    "contract_between",
    "contract_copy_node",
    "contract_parallel",
    "contract_trace_edges",
    "contractors",
    "copy",
    "disconnect",
    "draw",
    "flatten_all_edges",
    "flatten_edges",
    "flatten_edges_between",
    "from_topology",
    "get_all_dangling",
    "get_all_edges",
    "get_all_nodes",
    "get_all_nondangling",
    "get_neighbors",
    "get_parallel_edges",
    "get_shared_edges",
    "get_subgraph_dangling",
    "hyperedge",
    "jit",
    "load_nodes",
    "nodes_from_json",
    "nodes_to_json",
    "outer_product",
    "outer_product_final_nodes",
    "plan_network",
    "reachable",
    "redirect_edge",
    "reduced_density",
    "remove_node",
    "replicate_nodes",
    "save_nodes",
    "set_default_backend",
    "slice_edge",
    "split_edge",
    "split_node",
    "split_node_full_svd",
    "split_node_qr",
    "split_node_rq",
    "switch_backend",
    "to_graphviz",
    # linear algebra
    "linalg",
    # settings
    "get_num_threads",
    "set_num_threads",
    # errors
    "TensorNetError",
    "ShapeError",
    "PlanError",
    "FormatError",
    "CheckpointError",
    "MemoryLimitError",
    "__version__",
]
