"""The node graph: tensors as nodes, indices as edges, contracted through `tensornet.api`.

Names and behaviour follow google/TensorNetwork 0.4.6.
"""

from __future__ import annotations

import sys

from .. import linalg
from . import contractors, node_linalg
from .abstract import AbstractNode
from .backend import DefaultBackend, jit, set_default_backend, switch_backend
from .collection import NodeCollection
from .compiled import CompiledNetwork, compile_network, plan_network
from .contraction import (
    contract,
    contract_between,
    contract_copy_node,
    contract_parallel,
    contract_trace_edges,
    outer_product,
    outer_product_final_nodes,
)
from .copies import copy, reduced_density, replicate_nodes
from .copynode import CopyNode
from .dot import to_graphviz
from .drawing import draw
from .edge import Edge, connect, disconnect
from .hdf5 import load_nodes, save_nodes
from .hyperedge import HyperEdge, hyperedge
from .node import Node
from .queries import (
    check_connected,
    check_correct,
    get_all_dangling,
    get_all_edges,
    get_all_nodes,
    get_all_nondangling,
    get_neighbors,
    get_parallel_edges,
    get_shared_edges,
    get_subgraph_dangling,
    reachable,
)
from .reshaping import (
    flatten_all_edges,
    flatten_edges,
    flatten_edges_between,
    slice_edge,
    split_edge,
)
from .serialization import nodes_from_json, nodes_to_json
from .splitting import split_node, split_node_full_svd, split_node_qr, split_node_rq
from .wiring import from_topology, redirect_edge, remove_node

# google/TensorNetwork has the linear algebra of nodes in `linalg`, which is a floor below nodes and
# must not import them. So it is put there from here; `tensornet` imports this package in any case.
# Its contractors are a module of the package itself.
vars(linalg)["node_linalg"] = node_linalg
sys.modules[f"{linalg.__name__}.node_linalg"] = node_linalg
sys.modules[f"{__package__.rpartition('.')[0]}.contractors"] = contractors

__all__ = [
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
]
