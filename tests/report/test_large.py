"""A report on 20,000 samples takes seconds, not minutes, and stays small.

`tests/large.py` measures 1,000 to 100,000.
"""

import large

MOST_CPU_SECONDS = 90  # 10 on a quiet machine; CPU seconds count its neighbours too
MOST_MIB = 1000
MOST_PAGE_MB = 6


def test_a_report_on_400_trials_is_quick_and_small(tmp_path):
    assert large.write(tmp_path, 400) == 20_000
    found = large.cost(tmp_path)
    assert found["cpu_seconds"] < MOST_CPU_SECONDS
    assert found["peak_mib"] < MOST_MIB
    assert found["page_mb"] < MOST_PAGE_MB
