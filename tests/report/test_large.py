"""A report on 20,000 samples takes seconds and stays small.

`tests/large.py` measures reports on 1,000 to 100,000 samples.
"""

import large

MOST_CPU_SECONDS = 90  # 10 on a quiet machine; busy neighbours add CPU seconds
MOST_MIB = 1000
MOST_PAGE_MB = 6


def test_a_report_on_400_trials_is_quick_and_small(tmp_path):
    assert large.write(tmp_path, 400) == 20_000
    cost = large.cost(tmp_path)
    assert cost["cpu_seconds"] < MOST_CPU_SECONDS
    assert cost["peak_mib"] < MOST_MIB
    assert cost["page_mb"] < MOST_PAGE_MB
