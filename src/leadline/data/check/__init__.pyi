from .check import check_folder as check_folder
