from .clip import predict_video as predict_video
from .stream import predict_stream as predict_stream
from .stream import stream_stem as stream_stem
from .writer import ENDINGS as ENDINGS
from .writer import clip_paths as clip_paths
