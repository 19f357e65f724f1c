from ._version import __version__ as __version__
from .data import open_dataset as open_dataset
from .evaluation import evaluate as evaluate
from .models import load_model as load_model
from .prediction import measure as measure
from .prediction import predict as predict
