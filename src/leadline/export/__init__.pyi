from .exporter import Check as Check
from .exporter import export as export
from .graphs import add_graph as add_graph
from .graphs import add_int8_graph as add_int8_graph
