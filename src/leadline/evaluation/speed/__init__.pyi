from .bench import benchmark as benchmark
from .bench import make_pictures as make_pictures
from .results import END_TO_END as END_TO_END
from .results import STAGES as STAGES
from .results import Benchmark as Benchmark
from .results import Entry as Entry
from .results import Spread as Spread
