from .cluster import jobs_left as jobs_left
from .cluster import predict_on_cluster as predict_on_cluster
from .static_page import write_static_page as write_static_page
from .web import served_page as served_page
