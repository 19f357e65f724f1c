from .check import check_dataset as check_dataset
from .check import check_folder as check_folder
