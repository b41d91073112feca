"""What runs on a schedule or by hand above the analyses: reports, write-back, the demo and the `gaugebook` command."""
