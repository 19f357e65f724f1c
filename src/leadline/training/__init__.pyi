from .settings import RunSettings as RunSettings
from .settings import first_mistake as first_mistake
from .settings import recipe_names as recipe_names
from .settings import resolve_stages as resolve_stages
from .stages import resume_stages as resume_stages
from .stages import train_stages as train_stages
