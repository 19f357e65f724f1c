from .nyu import prepare_nyu as prepare_nyu
