from .bench import benchmark as benchmark
from .bench import make_images as make_images
from .results import END_TO_END as END_TO_END
from .results import PHASES as PHASES
from .results import Benchmark as Benchmark
from .results import Entry as Entry
from .results import Spread as Spread
