"""Metric depth from a single picture: train, evaluate and use monocular depth models.

>>> import leadline
>>> sorted(leadline.__all__)[:2]
['Camera', 'LeadlineError']
"""

from lazy_loader import attach_stub

# What `__init__.pyi` lists is loaded when first asked for, so that `import leadline` is instant.
__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
