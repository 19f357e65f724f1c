from .exporter import Check as Check
from .exporter import export_model as export_model
