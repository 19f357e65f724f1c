import threading

import torch

from leadline.backends.threads import all_threads, num_threads, use_threads, using_threads
from leadline.prediction.thread_pool import ordered_map


def test_threads_are_shared_for_a_block_and_pytorchs_with_them() -> None:
    before = torch.get_num_threads()
    with using_threads(3):
        assert num_threads() == torch.get_num_threads() == 3
        with using_threads(before + 4):
            assert num_threads() == torch.get_num_threads() == before + 4
        assert num_threads() == torch.get_num_threads() == 3
    assert num_threads() == torch.get_num_threads() == all_threads() == before


def test_what_pytorch_is_told_later_counts() -> None:
    before = torch.get_num_threads()
    with using_threads(3):
        pass
    list(ordered_map([int], 2))
    torch.set_num_threads(before + 5)
    try:
        assert num_threads() == all_threads() == before + 5
    finally:
        torch.set_num_threads(before)


def test_what_one_thread_uses_is_its_own() -> None:
    seen = []
    before = torch.get_num_threads()
    thread = threading.Thread(target=lambda: (use_threads(5), seen.append(num_threads()), use_threads(before)))
    thread.start()
    thread.join()
    assert seen == [5] and num_threads() == before
