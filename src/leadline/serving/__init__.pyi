from .cluster import jobs_left as jobs_left
from .cluster import predict_on_cluster as predict_on_cluster
from .web import served_page as served_page
