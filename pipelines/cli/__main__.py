"""`python -m pipelines.cli` is `gaugebook`."""

from pipelines.cli import main

main()
