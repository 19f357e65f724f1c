from .dataset import synthesize as synthesize
