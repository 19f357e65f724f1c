from .check import check_folder as check_folder
from .layouts import check_dataset as check_dataset
