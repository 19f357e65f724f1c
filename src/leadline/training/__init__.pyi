from .api import train as train
from .settings import RunSettings as RunSettings
from .settings import format_validation_error as format_validation_error
from .settings import recipe_names as recipe_names
from .settings import resolve_stages as resolve_stages
from .stages import resume_stages as resume_stages
from .stages import train_stages as train_stages
