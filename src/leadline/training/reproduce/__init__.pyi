from .run import reproduce as reproduce
