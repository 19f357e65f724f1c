from .exporter import Check as Check
from .exporter import export as export
from .network import add_graph as add_graph
