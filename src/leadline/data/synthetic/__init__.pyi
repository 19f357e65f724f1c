from .dataset import synthesize as synthesize
from .near_range import NearDataset as NearDataset
