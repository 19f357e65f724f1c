from .exporter import Check as Check
from .exporter import export as export
